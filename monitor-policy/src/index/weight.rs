//! How well tests tell rules apart, and what a look at a field costs: which of a rule's tests are
//! looked at first. Only speed depends on it.

use crate::field::{Field, FieldKind, FieldRef};
use crate::matching::TextTest;
use crate::program::{Graph, Leaf, Node, NodeId, Operand, Predicate, Test};

/// A test that many events pass.
const COMMON: u32 = 40;

/// How likely a test is to hold for an event that does not match; no more than an order.
pub(super) fn of_test(graph: &Graph, id: NodeId) -> u32 {
    match graph.nodes().get(id) {
        Some(Node::Leaf(leaf)) => of_field_of(graph, leaf) + of_form(&leaf.test),
        _ => 0,
    }
}

fn of_field_of(graph: &Graph, leaf: &Leaf) -> u32 {
    let Operand::Slot(slot) = &leaf.left else {
        return 0;
    };
    let Some(field) = graph.fields().get(*slot) else {
        return 0;
    };
    match field.field {
        Field::FdTypechar
        | Field::FdType
        | Field::FdNum
        | Field::FdL4proto
        | Field::EvtRes
        | Field::EvtRawres
        | Field::ContainerId
        | Field::UserUid
        | Field::UserLoginuid
        | Field::ProcTty
        | Field::ProcVpid
        // A list of names, for a process with capabilities.
        | Field::ThreadCapPermitted
        | Field::ThreadCapEffective
        | Field::ThreadCapInheritable => COMMON,
        found if found.definition().kind == FieldKind::Bool => COMMON,
        _ => 0,
    }
}

fn of_form(test: &Test) -> u32 {
    match test {
        Test::Literal(_, Predicate::Text(text)) => match text {
            TextTest::StartsWith(prefix) if prefix.len() < 4 => COMMON,
            TextTest::Contains(needle) if needle.needle().len() < 4 => COMMON,
            TextTest::Order(..) | TextTest::In(_) => 0,
            TextTest::StartsWith(_) | TextTest::EndsWith(_) => 2,
            _ => 4,
        },
        _ => 0,
    }
}

/// What it costs to fetch a field and look at it.
pub(super) fn of_field(field: &FieldRef) -> u32 {
    match field.field {
        Field::ProcName | Field::FdName => 1,
        // Made of several parts, or long.
        Field::ProcCmdline
        | Field::ProcArgs
        | Field::ProcPcmdline
        | Field::ProcAcmdline
        | Field::ProcEnv
        | Field::ThreadCapPermitted
        | Field::ThreadCapEffective
        | Field::ThreadCapInheritable
        | Field::ProcExeline => 12,
        _ if field.is_any() => 30,
        _ => 6,
    }
}
