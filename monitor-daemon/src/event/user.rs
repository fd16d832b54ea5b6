//! `user.*` and `group.*`: the acting thread's effective ids, named by the container's own user
//! database, or the host's.

use monitor_policy::{Field, FieldRef, Value};

use super::Event;
use crate::users::User;

/// What Falco prints for an id without a name.
const UNKNOWN: &str = "<NA>";

pub(super) fn value(event: &Event<'_>, field: &FieldRef) -> Option<Value<'static>> {
    let task = event.record.task();
    Some(match field.field {
        Field::UserUid => Value::Unsigned(task.euid.into()),
        Field::UserName => text(name_or_na(event, task.euid)),
        Field::UserHomedir => text(user(event, task.euid)?.home.to_string()),
        Field::UserShell => text(user(event, task.euid)?.shell.to_string()),
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

pub(super) fn name_or_na(event: &Event<'_>, uid: u32) -> String {
    match (event.world.accounts, uid) {
        (Some(accounts), _) => accounts
            .user(uid)
            .map_or(UNKNOWN, |user| &user.name)
            .to_owned(),
        // A container that was gone before its files could be read.
        (None, 0) => "root".to_owned(),
        (None, _) => UNKNOWN.to_owned(),
    }
}

pub(super) fn group_or_na(event: &Event<'_>, gid: u32) -> String {
    let name = event
        .world
        .accounts
        .and_then(|accounts| accounts.group(gid));
    name.unwrap_or(UNKNOWN).to_owned()
}

fn user<'e>(event: &Event<'e>, uid: u32) -> Option<&'e User> {
    event.world.accounts?.user(uid)
}

fn text(text: String) -> Value<'static> {
    Value::Text(text.into_bytes().into())
}
