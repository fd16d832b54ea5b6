//! `user.*` and `group.*`: the acting thread's effective ids, named by the container's own user
//! database, or the host's.

use monitor_policy::{Field, FieldRef, Value};

use super::Event;
use crate::users::User;

/// What Falco prints for an id without a name.
const UNKNOWN: &str = "<NA>";

pub(super) fn value<'e>(event: &'e Event<'_>, field: &FieldRef) -> Option<Value<'e>> {
    let task = event.record.task();
    Some(match field.field {
        Field::UserUid => Value::Unsigned(task.euid.into()),
        Field::UserName => text(name_or_na(event, task.euid)),
        Field::UserHomedir => text(&user(event, task.euid)?.home),
        Field::UserShell => text(&user(event, task.euid)?.shell),
        Field::UserLoginuid => Value::Signed(match task.loginuid {
            u32::MAX => -1,
            uid => uid.into(),
        }),
        Field::UserLoginname => text(name_or_na(event, task.loginuid)),
        Field::GroupGid => Value::Unsigned(task.egid.into()),
        Field::GroupName => text(group_or_na(event, task.egid)),
        _ => return None,
    })
}

pub(super) fn name_or_na<'e>(event: &Event<'e>, uid: u32) -> &'e str {
    match (event.world.accounts, uid) {
        (Some(accounts), _) => accounts.user(uid).map_or(UNKNOWN, |user| &user.name),
        // A container that was gone before its files could be read.
        (None, 0) => "root",
        (None, _) => UNKNOWN,
    }
}

pub(super) fn group_or_na<'e>(event: &Event<'e>, gid: u32) -> &'e str {
    let name = event
        .world
        .accounts
        .and_then(|accounts| accounts.group(gid));
    name.unwrap_or(UNKNOWN)
}

fn user<'e>(event: &Event<'e>, uid: u32) -> Option<&'e User> {
    event.world.accounts?.user(uid)
}

fn text(text: &str) -> Value<'_> {
    Value::Text(text.as_bytes().into())
}
