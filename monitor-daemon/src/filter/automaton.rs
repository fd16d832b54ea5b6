//! Texts to be found in one pass over a path: an automaton of Aho and Corasick, with signs for the
//! beginning and the end of a text, as a table of steps. Pure.

use std::collections::{BTreeMap, VecDeque};

use monitor_common::filter::{FOUND, Found, STEPS};

/// The sign behind the last byte, and the one before the first.
pub(super) const END: u16 = 256;
pub(super) const BEGIN: u16 = 257;

/// States that fit the numbers of steps.
const STATES: usize = 1 << 16;

/// A text to be found, of bytes and signs, and what is found with it.
#[derive(Clone, Debug)]
pub(super) struct Needle {
    pub(super) signs: Vec<u16>,
    pub(super) found: Found,
}

/// The table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Automaton {
    /// `steps[state << shift | class]`, the next state.
    pub(super) steps: Vec<u16>,
    /// What is found at each of the first states.
    pub(super) found: Vec<Found>,
    pub(super) start: u32,
    pub(super) shift: u32,
    /// Class of [`END`].
    pub(super) end: u32,
    pub(super) bytes: [u8; 256],
}

#[derive(Debug, Default)]
struct Node {
    next: BTreeMap<u16, usize>,
    fall: usize,
    found: Found,
}

/// Adds what is found.
pub(super) fn add(to: &mut Found, more: &Found) {
    to.name |= more.name;
    to.directory |= more.directory;
    to.file |= more.file;
    to.raw |= more.raw;
    to.unclean |= more.unclean;
}

impl Automaton {
    /// For these texts; `None` when it would be too large.
    pub(super) fn new(needles: &[Needle]) -> Option<Self> {
        let nodes = tree(needles)?;
        let (classes, bytes) = classes(needles)?;
        let shift = classes.len().next_power_of_two().trailing_zeros();
        if nodes.len() > STATES || nodes.len() << shift > STEPS {
            return None;
        }
        let order = order(&nodes);
        let found: Vec<Found> = order
            .iter()
            .filter_map(|node| nodes.get(*node))
            .map(|node| node.found)
            .take_while(|found| *found != Found::default())
            .collect();
        if found.len() > FOUND {
            return None;
        }
        let mut place = vec![0_u16; nodes.len()];
        for (number, node) in order.iter().enumerate() {
            *place.get_mut(*node)? = number as u16;
        }
        let mut steps = vec![0_u16; nodes.len() << shift];
        for (number, node) in order.iter().enumerate() {
            for (class, sign) in classes.iter().enumerate() {
                let next = step(&nodes, *node, *sign);
                *steps.get_mut(number << shift | class)? = *place.get(next)?;
            }
        }
        let start = step(&nodes, 0, Some(BEGIN));
        Some(Self {
            steps,
            found,
            start: (*place.get(start)?).into(),
            shift,
            end: classes.iter().position(|sign| *sign == Some(END))? as u32,
            bytes,
        })
    }
}

/// The tree of all texts, each node with the node that it falls back to.
fn tree(needles: &[Needle]) -> Option<Vec<Node>> {
    let mut nodes = vec![Node::default()];
    for needle in needles {
        let mut at = 0;
        for sign in &needle.signs {
            let new = nodes.len();
            at = *nodes.get_mut(at)?.next.entry(*sign).or_insert(new);
            if at == new {
                nodes.push(Node::default());
            }
        }
        add(&mut nodes.get_mut(at)?.found, &needle.found);
        if nodes.len() > STATES {
            return None;
        }
    }
    let mut queue: VecDeque<usize> = nodes.first()?.next.values().copied().collect();
    while let Some(at) = queue.pop_front() {
        let node = nodes.get(at)?;
        let (fall, below) = (node.fall, node.next.clone());
        let inherited = nodes.get(fall)?.found;
        add(&mut nodes.get_mut(at)?.found, &inherited);
        for (sign, child) in below {
            nodes.get_mut(child)?.fall = step(&nodes, fall, Some(sign));
            queue.push_back(child);
        }
    }
    Some(nodes)
}

/// Where a sign leads, falling back as often as needed; `None` is a byte that no text has.
fn step(nodes: &[Node], mut at: usize, sign: Option<u16>) -> usize {
    let Some(sign) = sign else { return 0 };
    loop {
        let Some(node) = nodes.get(at) else { return 0 };
        match node.next.get(&sign) {
            Some(next) => return *next,
            None if at == 0 => return 0,
            None => at = node.fall,
        }
    }
}

/// The classes of signs, with a sign that stands for each: that of all bytes which no text has, then
/// one for each other byte, then the end. And the class of each byte.
fn classes(needles: &[Needle]) -> Option<(Vec<Option<u16>>, [u8; 256])> {
    let mut bytes = [0; 256];
    let mut classes = vec![None];
    for sign in needles.iter().flat_map(|needle| &needle.signs) {
        if let Some(class) = bytes.get_mut(usize::from(*sign))
            && *class == 0
        {
            *class = u8::try_from(classes.len()).ok()?;
            classes.push(Some(*sign));
        }
    }
    classes.push(Some(END));
    Some((classes, bytes))
}

/// The nodes, those first that find something.
fn order(nodes: &[Node]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..nodes.len()).collect();
    order.sort_by_key(|node| {
        nodes
            .get(*node)
            .is_none_or(|node| node.found == Found::default())
    });
    order
}
