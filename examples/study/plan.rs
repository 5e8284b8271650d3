//! The questions, and the runs that answer them.

/// A run: the base configuration with some keys changed.
pub struct Run {
    /// Name of its folder.
    pub name: &'static str,
    /// `section.key=value`.
    pub set: &'static [&'static str],
}

/// A question of the study: rows of its table are runs, some of which several questions share.
pub struct Question {
    /// Heading.
    pub title: &'static str,
    /// What the paper leads one to expect.
    pub expected: &'static str,
    /// Label and run of each row.
    pub rows: &'static [(&'static str, &'static str)],
}

const fn run(name: &'static str, set: &'static [&'static str]) -> Run {
    Run { name, set }
}

/// Every run, those that most questions need first.
pub const RUNS: &[Run] = &[
    run("base", &[]),
    run("softmax", &["head.kind=softmax"]),
    run("query", &["head.kind=query"]),
    run("ce", &["head.ppc_weight=0.0", "head.ppd_weight=0.0"]),
    run("ce-ppc", &["head.ppd_weight=0.0"]),
    run("ce-ppd", &["head.ppc_weight=0.0"]),
    run("k1", &["model.prototypes=1"]),
    run("k3", &["model.prototypes=3"]),
    run("k5", &["model.prototypes=5"]),
    run("k20", &["model.prototypes=20"]),
    run("momentum-0", &["head.momentum=0.0"]),
    run("momentum-0.9", &["head.momentum=0.9"]),
    run("momentum-0.99", &["head.momentum=0.99"]),
    run("momentum-0.9999", &["head.momentum=0.9999"]),
    run("gumbel", &["head.update_assign=gumbel"]),
    run("gumbel-0.99", &["head.update_assign=gumbel", "head.momentum=0.99"]),
    run("random", &["head.prototype_init=random"]),
    run("revive", &["head.revive_every=40", "head.merge_cosine=0.95"]),
    run("unbalanced", &["head.sinkhorn_balance=0.1"]),
];

/// The questions in the order of the page.
pub const QUESTIONS: &[Question] = &[
    Question {
        title: "Prototype head against softmax and query heads",
        expected: "the paper reports +0.6 to +1.2 mIoU over softmax on its data sets",
        rows: &[("prototype", "base"), ("softmax", "softmax"), ("query", "query")],
    },
    Question {
        title: "Losses",
        expected: "each loss helps, and they add up",
        rows: &[("CE", "ce"), ("CE + PPC", "ce-ppc"), ("CE + PPD", "ce-ppd"), ("CE + PPC + PPD", "base")],
    },
    Question {
        title: "Prototypes per class",
        expected: "rises with K and saturates near 10",
        rows: &[("K = 1", "k1"), ("K = 3", "k3"), ("K = 5", "k5"), ("K = 10", "base"), ("K = 20", "k20")],
    },
    Question {
        title: "Momentum of the prototypes",
        expected: "best at 0.999",
        rows: &[
            ("0", "momentum-0"),
            ("0.9", "momentum-0.9"),
            ("0.99", "momentum-0.99"),
            ("0.999", "base"),
            ("0.9999", "momentum-0.9999"),
        ],
    },
    Question {
        title: "Assignment that moves the prototypes",
        expected: "the released code's rule (`gumbel`) drags a class's prototypes together",
        rows: &[
            ("argmax, momentum 0.999", "base"),
            ("gumbel, momentum 0.999", "gumbel"),
            ("argmax, momentum 0.99", "momentum-0.99"),
            ("gumbel, momentum 0.99", "gumbel-0.99"),
        ],
    },
    Question {
        title: "Beyond the paper: first fill, revival, unbalanced Sinkhorn",
        expected: "not lower mIoU, and more prototypes in use",
        rows: &[
            ("random directions (the paper)", "random"),
            ("first fill from pixels", "base"),
            ("first fill, revival and merged twins", "revive"),
            ("first fill and unbalanced Sinkhorn, rho = 0.1", "unbalanced"),
        ],
    },
];
