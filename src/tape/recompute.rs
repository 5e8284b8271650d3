//! Less memory for more time: layers of a forward pass are computed again where the reverse pass needs them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::value::{Role, ValueId};
use super::{Node, Tape};

impl Tape {
    /// Marks the node recorded next as the first of a block: what the block before it leaves behind is worth keeping, since
    /// the rest of that block follows from it.
    pub fn mark(&mut self) {
        self.marks.push(self.nodes.len());
    }

    /// Makes the nodes from number `forward` on, the reverse pass, read copies of the values inside the marked blocks of the
    /// nodes before. Copies are computed from what lies between blocks, by the same operations, just before they are
    /// first read: so the same bits come out, and only one block at a time is in memory. Call it once, at the end.
    pub fn recompute(&mut self, forward: usize) {
        let mut writers = vec![Vec::new(); self.values.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            node.outputs.iter().for_each(|&id| writers[self.root(id).index()].push(index));
        }
        let marks: Vec<usize> = self.marks.iter().copied().filter(|&mark| mark <= forward).collect();
        let mut copies: BTreeMap<usize, Vec<Node>> = BTreeMap::new();
        for block in marks.windows(2) {
            if let Some((place, nodes)) = self.copy_block(block[0]..block[1], forward, &writers) {
                copies.entry(place).or_default().extend(nodes);
            }
        }
        let nodes = std::mem::take(&mut self.nodes);
        for (index, node) in nodes.into_iter().enumerate() {
            self.nodes.extend(copies.remove(&index).unwrap_or_default());
            self.nodes.push(node);
        }
    }

    /// Redirects the reverse pass to copies of what is inside `block`; returns the nodes that compute those and the node
    /// that they have to stand before.
    fn copy_block(
        &mut self,
        block: Range<usize>,
        forward: usize,
        writers: &[Vec<usize>],
    ) -> Option<(usize, Vec<Node>)> {
        let roots = |ids: &[ValueId]| ids.iter().map(|&id| self.root(id)).collect::<Vec<_>>();
        let read = |nodes: Range<usize>| -> BTreeSet<ValueId> {
            self.nodes[nodes].iter().flat_map(|n| roots(&n.inputs)).collect()
        };
        let later = read(block.end..forward);
        // Vectors (statistics of a layer) take no memory to speak of.
        let inside = |id: ValueId| {
            let value = self.value(id);
            // Copies made for another block have no entry: they are inside none.
            let by = writers.get(id.index()).map_or(&[][..], Vec::as_slice);
            let once = matches!(by, [writer] if block.contains(writer));
            value.role == Role::Temp && value.shape.len() > 1 && once && !later.contains(&id)
        };
        let mut wanted: BTreeSet<_> =
            read(forward..self.nodes.len()).into_iter().filter(|&id| inside(id)).collect();
        let reads = |n: &Node| n.inputs.iter().any(|&id| wanted.contains(&self.root(id)));
        let place = (forward..self.nodes.len()).find(|&index| reads(&self.nodes[index]))?;
        let mut copied = Vec::new();
        for index in block.clone().rev() {
            let node = &self.nodes[index];
            if !roots(&node.outputs).iter().any(|id| wanted.contains(id)) {
                continue;
            }
            let inputs = roots(&node.inputs);
            // What has been overwritten since would give something else.
            let changed = |id: &ValueId| writers[id.index()].iter().any(|w| (index..place).contains(w));
            let pure = roots(&node.outputs).iter().all(|&id| self.value(id).role == Role::Temp);
            if inputs.iter().any(changed) || !pure {
                return None;
            }
            wanted.extend(inputs.into_iter().filter(|&id| inside(id)));
            copied.push(index);
        }
        let mut copies = BTreeMap::new();
        let mut nodes = Vec::new();
        for &index in copied.iter().rev() {
            let Node { op, inputs, outputs, scope, .. } = self.nodes[index].clone();
            let inputs = inputs.iter().map(|&id| self.copy_of(&mut copies, id)).collect();
            let copy_output = |&id: &ValueId| {
                let value = self.value(id).clone();
                let copy = self.add(&value.name, &value.shape, value.dtype, Role::Temp);
                if wanted.contains(&id) {
                    copies.insert(id, copy);
                }
                copy
            };
            let outputs = outputs.iter().map(copy_output).collect();
            nodes.push(Node { op, inputs, outputs, scope: format!("{scope}/again"), block: None });
        }
        for index in place..self.nodes.len() {
            let inputs = self.nodes[index].inputs.clone();
            self.nodes[index].inputs = inputs.iter().map(|&id| self.copy_of(&mut copies, id)).collect();
        }
        Some((place, nodes))
    }

    /// The copy of `id`, if there is one of its memory; a view of it for a view.
    fn copy_of(&mut self, copies: &mut BTreeMap<ValueId, ValueId>, id: ValueId) -> ValueId {
        let Some(&copy) = copies.get(&self.root(id)) else { return id };
        if let Some(&known) = copies.get(&id) {
            return known;
        }
        let value = self.value(id).clone();
        let view = self.add(&value.name, &value.shape, value.dtype, Role::View(copy));
        copies.insert(id, view);
        view
    }
}
