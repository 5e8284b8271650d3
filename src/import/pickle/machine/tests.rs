//! Pickles that weights never need, and what becomes of them.

use super::*;

fn refused(bytes: &[u8]) -> String {
    unpickle(bytes).expect_err("refused").problem
}

fn pickled(parts: &[&[u8]]) -> Vec<u8> {
    [&[0x80, 2][..], &parts.concat(), b"."].concat()
}

#[test]
fn whatever_would_run_something_is_refused_by_its_name() {
    let cases: [(&[u8], &str); 9] = [
        (b"cos\nsystem\n(S'touch x'\ntR.", "`os.system`"),
        (b"\x80\x02cposix\nsystem\nX\x07\0\0\0touch x\x85R.", "`posix.system`"),
        (
            b"\x80\x04\x95\x20\0\0\0\0\0\0\0\x8c\x08builtins\x8c\x04eval\x93\x8c\x031+1\x85R.",
            "`builtins.eval`",
        ),
        (b"\x80\x02c__builtin__\ngetattr\n.", "`__builtin__.getattr`"),
        (b"\x80\x02ctorch\nload\n.", "`torch.load`"),
        (b"(S'touch x'\nios\nsystem\n.", "0x53"),
        (b"\x80\x02(ios\nsystem\n.", "`os.system`"),
        (b"\x80\x02\x82\x01.", "0x82"),
        (b"\x80\x02c\x1b[2Jos\nsystem\n.", "`\\u{1b}[2Jos.system`"),
    ];
    for (bytes, part) in cases {
        let problem = refused(bytes);
        assert!(problem.contains(part) && !problem.contains('\n'), "{part}: {problem}");
    }
    let long = [b"\x80\x02c", &[b'a'; 400][..], b"\nb\n."].concat();
    assert!(refused(&long).len() < 200);
}

#[test]
fn what_is_allowed_cannot_be_called_otherwise() {
    let cases: [(&[u8], &str); 7] = [
        (b"ctorch\nFloatStorage\n)R", "a storage of its own"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n)R", "no storage"),
        (b"ctorch._utils\n_rebuild_parameter\nN\x85R", "without a tensor"),
        (b"X\x01\0\0\0a)R", "no function"),
        (b"ccollections\nOrderedDict\nK\x01\x85R", "something that is none"),
        (b"X\x03\0\0\0abcQ", "no storage of numbers"),
        (b"(X\x06\0\0\0moduleNX\x01\0\0\x000X\x03\0\0\0cpuK\x01tQ", "no storage of numbers"),
    ];
    for (bytes, part) in cases {
        let problem = refused(&pickled(&[bytes]));
        assert!(problem.contains(part), "{part}: {problem}");
    }
}

#[test]
fn what_claims_to_be_long_is_not_believed() {
    let lengths: [&[u8]; 6] = [
        b"X\xff\xff\xff\xff",
        b"B\xff\xff\xff\xff",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x8b\xff\xff\xff\xff",
        b"\x8a\xff",
    ];
    for length in lengths {
        assert!(refused(&pickled(&[length])).contains("cut off"), "{length:?}");
    }
    // A memo of the largest index takes one place.
    let far = unpickle(&pickled(&[b"Nr\xff\xff\xff\xff0j\xff\xff\xff\xff"])).expect("a value");
    assert_eq!(*far.graph.node(far.root), Node::None);
}

#[test]
fn nests_cycles_and_repeated_copies_cost_no_more_than_their_bytes() {
    let deep = unpickle(&pickled(&[b"N", &[0x85; 1_000_000]])).expect("a deep tuple");
    assert_eq!(deep.graph.items(deep.root).map(<[Id]>::len), Some(1));
    let cycle = unpickle(&pickled(&[b"}q\0X\x01\0\0\0ah\0s"])).expect("a dictionary in itself");
    let Node::Dict(pairs) = cycle.graph.node(cycle.root) else { panic!("no dictionary") };
    assert_eq!(pairs[0].1, cycle.root);
    for flood in [b'}', b'(', b'2', 0x94] {
        let flood = vec![flood; MAX_OBJECTS + 2];
        assert!(refused(&pickled(&[b"N", &flood])).contains("more than 4000000"));
    }
    // A dictionary of a thousand pairs, copied by every second instruction.
    let pairs = b"NN".repeat(1000);
    let copies = b"h\x01h\0\x85R0".repeat(10_000);
    let bomb = pickled(&[b"}q\0(", &pairs, b"u0ccollections\nOrderedDict\nq\x010", &copies, b"N"]);
    assert!(refused(&bomb).contains("more than 4000000"));
    // A storage with a name of a megabyte, referred to by every second instruction.
    let name = [&b"X\0\0\x10\0"[..], &[b'k'; 1 << 20]].concat();
    let storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\n";
    let references = b"h\0Q0".repeat(500_000);
    let bomb = pickled(&[storage, &name, b"NK\x01tq\0", &references, b"N"]);
    let whole = unpickle(&bomb).expect("a value");
    assert_eq!(whole.graph.nodes().filter(|node| matches!(node, Node::Storage(_))).count(), 500_000);
}

#[test]
fn a_stack_that_is_empty_is_no_panic() {
    let broken: [&[u8]; 14] =
        [b"", b"0", b"1", b"2", b"a", b"(u", b"u", b"t", b"R", b"\x87", b"b", b"Q", b"h\x05", b"q\0"];
    for bytes in broken {
        assert!(unpickle(&pickled(&[bytes])).is_err(), "{bytes:?}");
    }
    assert!(unpickle(b"").is_err() && unpickle(b"\x80").is_err());
    assert!(unpickle(&pickled(&[b"}(Nu"])).is_err() && unpickle(&pickled(&[b"N(0"])).is_err());
    assert!(unpickle(&pickled(&[b"Na"])).is_err() && unpickle(&pickled(&[b"NNNs"])).is_err());
}

#[test]
fn values_are_read() {
    let of = |bytes: &[u8]| {
        let pickle = unpickle(&pickled(&[bytes])).expect("a value");
        pickle.graph.node(pickle.root).clone()
    };
    assert_eq!(of(b"K\xff"), Node::Int(255));
    assert_eq!(of(b"M\0\x01"), Node::Int(256));
    assert_eq!(of(b"J\xfe\xff\xff\xff"), Node::Int(-2));
    assert_eq!(of(b"\x8a\x02\0\x80"), Node::Int(-32768));
    assert_eq!(of(b"\x8a\0"), Node::Int(0));
    assert_eq!(of(b"\x8a\x09\0\0\0\0\0\0\0\0\x01"), Node::Other);
    assert_eq!(of(b"U\x02ab"), Node::Text("ab".into()));
    assert_eq!(of(b"\x88"), Node::Bool(true));
    assert_eq!(of(b"G\0\0\0\0\0\0\0\0"), Node::Other);
    assert_eq!(of(b"cnumpy\ndtype\nX\x02\0\0\0f8K\0K\x01\x87RNb"), Node::Other);
}
