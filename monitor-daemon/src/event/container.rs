//! `container.*` and `k8s.*`.
//!
//! On the host the id, name and type read `host` and image fields are empty, not missing. In a
//! container whose metadata has not come, only what the cgroup tells has a value.

use monitor_policy::{Field, FieldArg, FieldRef, Value, text};

use super::Event;
use crate::container::{Container, Metadata, Mount, Pod};

pub(super) fn value<'e>(event: &'e Event<'_>, field: &FieldRef) -> Option<Value<'e>> {
    let Some(container) = event.container else {
        return on_host(field.field);
    };
    from_cgroup(event, container, field.field)
        .or_else(|| name(container, field.field))
        .or_else(|| from_runtime(container.metadata()?, field))
}

fn from_runtime<'e>(metadata: &'e Metadata, field: &FieldRef) -> Option<Value<'e>> {
    identity(metadata, field.field)
        .or_else(|| modes(metadata, field.field))
        .or_else(|| settings(metadata, field.field))
        .or_else(|| labels(metadata, field))
        .or_else(|| mounts(metadata, field))
        .or_else(|| pod(metadata, metadata.pod.as_ref()?, field))
}

/// What the runtime tells when it makes a container, before all else.
fn name(container: &Container, field: Field) -> Option<Value<'_>> {
    let (name, image) = container.name_and_image()?;
    Some(match field {
        Field::ContainerName => borrowed(name),
        Field::ContainerImage => borrowed(&image.reference),
        Field::ContainerImageRepository => borrowed(&image.repository),
        Field::ContainerImageTag => borrowed(&image.tag),
        _ => return None,
    })
}

/// What a field says where there is no container.
pub(crate) fn on_host(field: Field) -> Option<Value<'static>> {
    match field {
        Field::ContainerId | Field::ContainerName | Field::ContainerType => Some(borrowed("host")),
        Field::ContainerPrivileged => Some(Value::Bool(false)),
        Field::ContainerImage
        | Field::ContainerImageId
        | Field::ContainerImageRepository
        | Field::ContainerImageTag
        | Field::ContainerImageDigest => Some(borrowed("")),
        _ => None,
    }
}

fn from_cgroup<'e>(event: &Event<'_>, container: &'e Container, field: Field) -> Option<Value<'e>> {
    Some(match field {
        Field::ContainerId => borrowed(container.short_id()),
        Field::ContainerFullId => borrowed(&container.id),
        Field::ContainerType => borrowed(container.runtime.name()),
        Field::ContainerStartTs => Value::Unsigned(started(event, container)?),
        Field::ContainerDuration => {
            Value::Unsigned(event.time().saturating_sub(started(event, container)?))
        }
        _ => return None,
    })
}

/// When it started, ns since the epoch. The first process of the pid namespace is the container's,
/// unless it shares the host's.
fn started(event: &Event<'_>, container: &Container) -> Option<u64> {
    match container.metadata() {
        // Known before the runtime has noted the start, it is just being made.
        Some(metadata) if metadata.host_pid => metadata.started.or(metadata.created),
        _ => {
            let start = event.record.task().pid_ns_start;
            (start != 0).then(|| start.saturating_add(event.world.boot_to_epoch_ns))
        }
    }
}

fn identity(metadata: &Metadata, field: Field) -> Option<Value<'_>> {
    let image = &metadata.image;
    Some(match field {
        Field::ContainerImageId => borrowed(&image.id),
        Field::ContainerImageDigest => borrowed(&image.digest),
        Field::ContainerIp => owned(metadata.ip()?.to_string()),
        _ => return None,
    })
}

fn modes(metadata: &Metadata, field: Field) -> Option<Value<'static>> {
    Some(Value::Bool(match field {
        Field::ContainerPrivileged => metadata.privileged,
        Field::ContainerHostPid => metadata.host_pid,
        Field::ContainerHostNetwork => metadata.host_network,
        Field::ContainerHostIpc => metadata.host_ipc,
        _ => return None,
    }))
}

/// How it was made: fields of our own.
fn settings(metadata: &Metadata, field: Field) -> Option<Value<'_>> {
    let limits = &metadata.limits;
    Some(match field {
        Field::ContainerUser => borrowed(&metadata.user),
        Field::ContainerCgroupParent => borrowed(&metadata.cgroup_parent),
        Field::ContainerCapAdd => owned(metadata.cap_add.join(" ")),
        Field::ContainerCapDrop => owned(metadata.cap_drop.join(" ")),
        Field::ContainerNetworks => {
            let names = metadata.networks.iter().map(|network| &*network.name);
            owned(names.collect::<Vec<_>>().join(","))
        }
        Field::ContainerMemoryLimit => limit(limits.memory),
        Field::ContainerCpuLimit => limit(limits.cpu_thousandths()),
        Field::ContainerPidsLimit => limit(limits.pids),
        _ => return None,
    })
}

/// Docker says "no limit" by 0 and by -1.
fn limit(told: i64) -> Value<'static> {
    Value::Unsigned(u64::try_from(told).unwrap_or_default())
}

fn labels<'e>(metadata: &'e Metadata, field: &FieldRef) -> Option<Value<'e>> {
    let labels = &metadata.labels;
    match (field.field, &field.arg) {
        (Field::ContainerLabels, _) => {
            let all: Vec<String> = labels
                .iter()
                .map(|(key, value)| format!("{key}:{value}"))
                .collect();
            Some(owned(all.join(", ")))
        }
        (Field::ContainerLabel, Some(FieldArg::Key(key))) => Some(borrowed(labels.get(&**key)?)),
        _ => None,
    }
}

fn mounts<'e>(metadata: &'e Metadata, field: &FieldRef) -> Option<Value<'e>> {
    if field.field == Field::ContainerMounts {
        let all: Vec<String> = metadata.mounts.iter().map(describe).collect();
        return Some(owned(all.join(",")));
    }
    let of = |mount: &'e Mount| {
        Some(match field.field {
            Field::ContainerMount => owned(describe(mount)),
            Field::ContainerMountSource => borrowed(&mount.source),
            Field::ContainerMountDest => borrowed(&mount.destination),
            Field::ContainerMountMode => borrowed(&mount.mode),
            Field::ContainerMountRdwr => borrowed(if mount.writable { "true" } else { "false" }),
            Field::ContainerMountPropagation => borrowed(&mount.propagation),
            _ => return None,
        })
    };
    match &field.arg {
        Some(FieldArg::Index(index)) => of(metadata.mounts.get(*index as usize)?),
        Some(FieldArg::Key(pattern)) => {
            let fits =
                |mount: &&Mount| text::glob(pattern.as_bytes(), key(mount, field).as_bytes());
            of(metadata.mounts.iter().find(fits)?)
        }
        None => None,
    }
}

/// What a mount is found by: the key of `container.mount.source` is a destination, that of all
/// others a source.
fn key<'m>(mount: &'m Mount, field: &FieldRef) -> &'m str {
    if field.field == Field::ContainerMountSource {
        &mount.destination
    } else {
        &mount.source
    }
}

fn describe(mount: &Mount) -> String {
    let Mount {
        source,
        destination,
        mode,
        writable,
        propagation,
    } = mount;
    format!("{source}:{destination}:{mode}:{writable}:{propagation}")
}

fn pod<'e>(metadata: &'e Metadata, pod: &'e Pod, field: &FieldRef) -> Option<Value<'e>> {
    let sandbox = &pod.sandbox_id;
    match field.field {
        Field::K8sPodName => present(&pod.name),
        Field::K8sNsName => present(&pod.namespace),
        Field::K8sPodId | Field::K8sPodUid => present(&pod.uid),
        Field::K8sPodFullSandboxId => present(sandbox),
        Field::K8sPodSandboxId => present(sandbox.get(..12).unwrap_or(sandbox)),
        Field::K8sPodIp => Some(owned(metadata.ip()?.to_string())),
        _ => None,
    }
}

fn borrowed(text: &str) -> Value<'_> {
    Value::Text(text.as_bytes().into())
}

fn owned(text: String) -> Value<'static> {
    Value::Text(text.into_bytes().into())
}

fn present(value: &str) -> Option<Value<'_>> {
    (!value.is_empty()).then(|| borrowed(value))
}
