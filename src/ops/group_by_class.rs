//! Pixels grouped by class, on the device: what depends on the data is counts and offsets, never the plan's shape.

use super::proto_rule::expect;
use super::table::{Case, Fill, Input};
use crate::error::Result;
use crate::gpu::{Slot, grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{DType, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params {
        num_pixels: u32,
        num_classes: u32,
        block: u32,
        num_blocks: u32,
        shift: u32,
        num_buckets: u32,
        chunk: u32,
        num_chunks: u32,
    }
}

uniform! {
    struct GpuParams {
        num_pixels: u32,
        num_classes: u32,
        num_blocks: u32,
        shift: u32,
        num_buckets: u32,
        num_chunks: u32,
        first: u32,
    }
}

/// Input `gt i32 [N]`; outputs `order u32 [N]` and `offsets u32 [C+1]`.
#[derive(Clone, Copy, Debug)]
pub struct GroupByClass {
    /// C, the number of groups.
    pub num_classes: usize,
}

/// Records the stable grouping of pixels by class: `order` lists the pixels of class 0, 1, ... each in increasing order,
/// then the ignored ones (any value outside `0..num_classes`); class c stands at `offsets[c]..offsets[c+1]`, and
/// `offsets[C]` is the number of valid pixels. Any other whole-number key serves as well, such as (class, prototype).
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) if `gt` is not `i32 [N]`.
pub fn group_by_class(tape: &mut Tape, gt: ValueId, num_classes: usize) -> Result<(ValueId, ValueId)> {
    let out = tape.push(GroupByClass { num_classes }, &[gt])?;
    Ok((out[0], out[1]))
}

impl GroupByClass {
    /// Keys are 0..=C: as few passes of at most 8 bits as they need, of nearly equal width. Passes, and bits of each.
    fn passes(&self) -> (u32, u32) {
        let bits = usize::BITS - self.num_classes.leading_zeros();
        let passes = bits.div_ceil(8).max(1);
        (passes, bits.div_ceil(passes).max(1))
    }

    fn launch_gpu(&self, l: &mut Launch<'_>) {
        // Pixels of a block, and table entries of a chunk, as in the shader.
        const BLOCK: usize = 256;
        const CHUNK: usize = 4096;
        let num_pixels = l.input(0).len();
        let (passes, digit) = self.passes();
        let num_blocks = num_pixels.div_ceil(BLOCK);
        let table_len = num_blocks << digit;
        let num_chunks = table_len.div_ceil(CHUNK);
        let params = |pass| GpuParams {
            num_pixels: num_pixels as u32,
            num_classes: self.num_classes as u32,
            num_blocks: num_blocks as u32,
            shift: pass * digit,
            num_buckets: 1 << digit,
            num_chunks: num_chunks as u32,
            first: u32::from(pass == 0),
        };
        let (gt, order, offsets) = (l.read(0), l.write(0), l.write(1));
        let (table, sums, other) = (l.scratch(table_len), l.scratch(num_chunks), l.scratch(num_pixels));
        let mut run = |entry, pass, bindings: &[(&'static str, Slot)], groups| {
            l.dispatch("group_by_class.gpu", entry, &params(pass), bindings, groups);
        };
        // The pixels move between two buffers and must end in `order`.
        let (mut from, mut to) = if passes % 2 == 1 { (other, order) } else { (order, other) };
        let (blocks, chunks) = (grid(num_blocks, 1), grid(num_chunks, 1));
        for pass in 0..passes {
            run("group_count", pass, &[("gt", gt), ("source", from), ("table", table)], blocks);
            let scan = [("table", table), ("sums", sums)];
            if num_chunks > 1 {
                run("group_sums", pass, &scan, chunks);
            }
            run("group_prefix", pass, &scan, chunks);
            let bindings = [("gt", gt), ("source", from), ("table", table), ("order", to)];
            run("group_scatter", pass, &bindings, blocks);
            (from, to) = (to, from);
        }
        let classes = grid(self.num_classes + 1, 64);
        if passes == 1 {
            run("group_offsets_of_table", 0, &[("table", table), ("offsets", offsets)], classes);
        } else {
            run("group_offsets", 0, &[("gt", gt), ("source", order), ("offsets", offsets)], classes);
        }
    }
}

impl Op for GroupByClass {
    fn stem(&self) -> &'static str {
        "group_by_class"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let num_pixels = inputs[0].len();
        expect("group_by_class", inputs[0], &[num_pixels], DType::I32)?;
        Ok(vec![Spec::u32(&[num_pixels]), Spec::u32(&[self.num_classes + 1])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        if l.caps.variant.is_parallel() {
            return self.launch_gpu(l);
        }
        let num_pixels = l.input(0).len();
        let (passes, digit) = self.passes();
        // Longer blocks for more pixels keep the table small; short ones keep a GPU busy.
        let block = (num_pixels / 2048).next_power_of_two().clamp(256, 1024);
        let num_blocks = num_pixels.div_ceil(block);
        let table_len = num_blocks << digit;
        let chunk = table_len.isqrt().max(1);
        let num_chunks = table_len.div_ceil(chunk);
        let params = |shift| Params {
            num_pixels: num_pixels as u32,
            num_classes: self.num_classes as u32,
            block: block as u32,
            num_blocks: num_blocks as u32,
            shift,
            num_buckets: 1 << digit,
            chunk: chunk as u32,
            num_chunks: num_chunks as u32,
        };
        let (gt, order, offsets) = (l.read(0), l.write(0), l.write(1));
        let (table, sums, other) = (l.scratch(table_len), l.scratch(num_chunks), l.scratch(num_pixels));
        let mut run = |entry, shift, bindings: &[(&'static str, Slot)], count| {
            l.dispatch("group_by_class", entry, &params(shift), bindings, grid(count, 64));
        };
        // The pixels move between two buffers and must end in `order`.
        let (mut from, mut to) = if passes % 2 == 1 { (other, order) } else { (order, other) };
        run("group_identity", 0, &[("order", from)], num_pixels);
        for pass in 0..passes {
            let shift = pass * digit;
            run("group_count", shift, &[("gt", gt), ("source", from), ("table", table)], num_blocks);
            run("group_sums", shift, &[("table", table), ("sums", sums)], num_chunks);
            run("group_prefix", shift, &[("table", table), ("sums", sums)], num_chunks);
            let bindings = [("gt", gt), ("source", from), ("table", table), ("order", to)];
            run("group_scatter", shift, &bindings, num_blocks);
            (from, to) = (to, from);
        }
        let bindings = [("gt", gt), ("source", order), ("offsets", offsets)];
        run("group_offsets", 0, &bindings, self.num_classes + 1);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let (order, offsets) = oracle::group_by_class::group_by_class(inputs[0], self.num_classes);
        vec![order, offsets]
    }

    fn flops(&self, _: &[&Value], _: &[&Value]) -> u64 {
        0
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name, n: usize, c: usize, fill| {
        Case::new(name, vec![Input::i32(&[n], fill)], move |t, v| {
            group_by_class(t, v[0], c)?;
            Ok(vec![])
        })
    };
    let random = |count, ignored| Fill::Integers { count, ignored };
    let nearly_one = (0..60_000).map(|n| if n % 997 == 5 { (n % 11) as f32 } else { 3.0 }).collect();
    vec![
        case("one pixel", 1, 1, random(1, 0.0)),
        case("one class, some ignored", 700, 1, random(1, 0.3)),
        case("two classes", 513, 2, random(2, 0.1)),
        case("all ignored", 300, 7, random(7, 1.0)),
        case("values above C, absent classes", 1000, 5, random(9, 0.1)),
        case("150 classes: one pass", 5000, 150, random(150, 0.1)),
        case("255 and 256 keys", 3000, 255, random(255, 0.05)),
        case("256 classes: two passes", 3000, 256, random(256, 0.05)),
        case("10,000 classes", 20_000, 10_000, random(10_000, 0.05)),
        case("160,000 groups: three passes", 20_000, 160_000, random(160_000, 0.05)),
        case("one class holds nearly all", 60_000, 11, Fill::Values(nearly_one)),
        case("long blocks", 1_200_000, 19, random(19, 0.05)),
    ]
}
