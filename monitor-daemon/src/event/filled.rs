//! Which fields of the language this build fills: the one place that says so.
//!
//! A test evaluates every field on sample events and holds the answer to what comes out.

use monitor_policy::{Field, FieldFlags};

/// Whether the field has a value on at least one kind of event. A field that is not filled is
/// always missing: comparisons on it are false.
pub fn filled(field: Field) -> bool {
    !field.is(FieldFlags::NEVER) && !UNFILLED.contains(&field)
}

/// Fields of the language that no code here computes.
pub const UNFILLED: &[Field] = &[
    Field::EvtReltime,
    Field::EvtReltimeS,
    Field::EvtReltimeNs,
    Field::EvtPluginname,
    Field::EvtPlugininfo,
    Field::EvtAsynctype,
    Field::EvtDeltatime,
    Field::EvtDeltatimeS,
    Field::EvtDeltatimeNs,
    Field::EvtTypeIs,
    Field::EvtIoDir,
    Field::EvtCountErrorMemory,
    Field::EvtCountErrorOther,
    Field::EvtCountProcinfo,
    Field::EvtCountThreadinfo,
    Field::EvtAround,
    Field::EvtBuflenIn,
    Field::EvtBuflenOut,
    Field::EvtBuflenFile,
    Field::EvtBuflenFileIn,
    Field::EvtBuflenFileOut,
    Field::EvtBuflenNet,
    Field::EvtBuflenNetIn,
    Field::EvtBuflenNetOut,
    Field::EvtInfraDockerName,
    Field::EvtInfraDockerContainerId,
    Field::EvtInfraDockerContainerName,
    Field::EvtInfraDockerContainerImage,
    Field::ProcFdopencount,
    Field::ProcFdlimit,
    Field::ProcFdusage,
    Field::ProcVmsize,
    Field::ProcVmrss,
    Field::ProcVmswap,
    Field::ThreadPfmajor,
    Field::ThreadPfminor,
    Field::ThreadNametid,
    Field::ThreadExectime,
    Field::ThreadTotexectime,
    Field::ThreadCgroups,
    Field::ThreadCgroup,
    Field::ProcNthreads,
    Field::ProcNchilds,
    Field::ThreadCpu,
    Field::ThreadCpuUser,
    Field::ThreadCpuSystem,
    Field::ThreadVmsize,
    Field::ThreadVmrss,
    Field::ThreadVmsizeB,
    Field::ThreadVmrssB,
    Field::ProcStdinType,
    Field::ProcStdoutType,
    Field::ProcStderrType,
    Field::ProcStdinName,
    Field::ProcStdoutName,
    Field::ProcStderrName,
    Field::FdCproto,
    Field::FdSproto,
    Field::FdLproto,
    Field::FdRproto,
    Field::FdTypes,
    Field::FdlistNums,
    Field::FdlistNames,
    Field::FdlistCips,
    Field::FdlistSips,
    Field::FdlistCports,
    Field::FdlistSports,
    Field::UtilCnt,
    Field::ContainerCniJson,
    Field::K8sPodLabel,
    Field::K8sPodLabels,
    Field::K8sPodCniJson,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use monitor_common::call::Registers;
    use monitor_common::file::{Link, Open};
    use monitor_common::network::{Connect, Dns, Send, Serve, Socket};
    use monitor_common::process::{Exec, Exit, Fork, Ptrace};
    use monitor_common::{Header, Kind, SLOTS, Slot, Task};
    use monitor_policy::{Event as _, FieldRef, View};
    use zerocopy::{FromBytes as _, FromZeros as _, Immutable, IntoBytes};

    use super::*;
    use crate::container::cgroup_path::{Owner, Runtime};
    use crate::container::{Container, Metadata, Mount, Network, Pod, State};
    use crate::event::{Actor, Event, World};
    use crate::names::{self, NameTable};
    use crate::process::{Image, Limits, ProcessKey, Table};
    use crate::record::Record;
    use crate::users::Accounts;

    const SECOND: u64 = 1_000_000_000;
    const PATHS: &[(Slot, &str)] = &[
        (Slot::Resolved, "/srv/file"),
        (Slot::Passed, "file"),
        (Slot::Cwd, "/srv"),
        (Slot::Target, "old"),
    ];

    fn task(pid: u32) -> Task {
        let mut task = Task {
            pid,
            tid: pid,
            start: u64::from(pid) * SECOND,
            ppid: pid - 1,
            parent_start: u64::from(pid - 1) * SECOND,
            sid: 2,
            pgid: 2,
            pid_ns_start: SECOND,
            ..Task::default()
        };
        task.comm[..2].copy_from_slice(b"sh");
        task
    }

    fn record<B: IntoBytes + Immutable>(kind: Kind, body: &B) -> Vec<u8> {
        let mut header = Header {
            kind: kind as u16,
            time: 10 * SECOND,
            task: task(3),
            ..Header::new_zeroed()
        };
        let mut tail = Vec::new();
        for (slot, text) in PATHS {
            header.strings[*slot as usize] = text.len() as u32;
            tail.extend_from_slice(text.as_bytes());
        }
        header.len = (size_of::<Header>() + size_of_val(body) + tail.len()) as u32;
        [header.as_bytes(), body.as_bytes(), &tail].concat()
    }

    /// `a` is 0.0.0.0, says a server of names.
    fn answer() -> Vec<u8> {
        let question = *b"\0\0\x80\0\0\x01\0\x01\0\0\0\0\x01a\0\0\x01\0\x01";
        let answer = *b"\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04\0\0\0\0";
        let message = [&question[..], &answer].concat();
        let body = Dns {
            received: 1,
            ..Dns::new_zeroed()
        };
        let mut bytes = record(Kind::Dns, &body);
        let tail: usize = PATHS.iter().map(|(_, text)| text.len()).sum();
        bytes.truncate(bytes.len() - tail);
        let (mut header, _) = Header::read_from_prefix(&bytes).unwrap();
        header.strings = [0; SLOTS];
        header.strings[Slot::Args as usize] = message.len() as u32;
        header.len = (bytes.len() + message.len()) as u32;
        [header.as_bytes(), &bytes[size_of::<Header>()..], &message].concat()
    }

    /// One record of every kind that becomes an event.
    fn records() -> Vec<Vec<u8>> {
        let local = Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();
        let connect = Connect {
            remote: local,
            local,
            fd: 4,
            family: 10,
            kind: 1,
            protocol: 6,
            remote_port: 443,
            local_port: 50_000,
            passed_family: 10,
            ..Connect::new_zeroed()
        };
        let socket = Socket {
            domain: 2,
            kind: 1,
            ..Socket::new_zeroed()
        };
        vec![
            record(Kind::Exec, &Exec::new_zeroed()),
            record(Kind::Fork, &Fork::new_zeroed()),
            record(Kind::Exit, &Exit::new_zeroed()),
            record(Kind::Open, &Open::new_zeroed()),
            record(Kind::Passed, &Open::new_zeroed()),
            record(Kind::Connect, &connect),
            record(Kind::Socket, &socket),
            record(Kind::Symlink, &Link::new_zeroed()),
            record(Kind::Link, &Link::new_zeroed()),
            record(Kind::Ptrace, &Ptrace::new_zeroed()),
            record(
                Kind::Bind,
                &Serve {
                    syscall: 49,
                    ..Serve::new_zeroed()
                },
            ),
            record(Kind::Receive, &Send::new_zeroed()),
            record(Kind::Clone, &Registers::new_zeroed()),
            record(Kind::Call, &Registers::new_zeroed()),
            answer(),
        ]
    }

    /// Two shells, one started by the other.
    fn table() -> Table {
        let image = || Image {
            exe: b"/bin/sh".as_slice().into(),
            args: b"sh\0-c\0".as_slice().into(),
            environment: b"HOME=/\0".as_slice().into(),
            inode: 1,
            ctime: 1,
            mtime: 1,
            ..Image::default()
        };
        let mut table = Table::new(Limits::default());
        table.executed(&task(2), image(), b"/");
        table.forked(&task(3), ProcessKey::new(2, 2 * SECOND));
        table.executed(&task(3), image(), b"/");
        table
    }

    fn container() -> Container {
        let metadata = Metadata {
            labels: BTreeMap::from([("HOME".into(), "1".into())]),
            mounts: vec![Mount::default()],
            networks: vec![Network {
                ipv4: Some(Ipv4Addr::LOCALHOST),
                ..Network::default()
            }],
            pod: Some(Pod {
                name: "p".into(),
                namespace: "n".into(),
                uid: "u".into(),
                sandbox_id: "s".into(),
                container_name: "c".into(),
            }),
            ..Metadata::default()
        };
        Container {
            id: "3ad7b26ded6d".into(),
            runtime: Runtime::Docker,
            owner: Owner::System,
            state: State::Known(Arc::new(metadata)),
            early: None,
        }
    }

    /// Addresses of `localhost`, as the daemon learns them.
    fn localhost() -> Arc<NameTable> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (sender, mut told) = tokio::sync::mpsc::channel(1);
            let names = vec![Arc::from("localhost")];
            let (_names, names) = tokio::sync::watch::channel(names);
            tokio::select! {
                () = names::resolve(names, names::Settings::default(), sender) => panic!("ended"),
                update = told.recv() => update.unwrap().0,
            }
        })
    }

    /// The field with every form of argument that may give it a value.
    fn references(field: Field) -> Vec<FieldRef> {
        let keys = ["name", "HOME", "*", "dst"];
        let with_key = keys.map(|key| FieldRef::with_key(field, key));
        [
            FieldRef { field, arg: None },
            FieldRef::with_index(field, 0),
        ]
        .into_iter()
        .chain(with_key)
        .collect()
    }

    fn has_value(event: &Event<'_>, field: Field) -> bool {
        references(field)
            .iter()
            .any(|reference| event.value(reference, View::Passed).is_some())
    }

    #[test]
    fn fields_called_filled_have_a_value_on_some_event_and_the_others_on_none() {
        let (table, names, container) = (table(), localhost(), container());
        let actor = Actor::live(Arc::clone(table.by_pid(3).unwrap()));
        let accounts = Accounts::default();
        let world = World {
            table: &table,
            accounts: Some(&accounts),
            names: &names,
            hostname: "web-1",
            boot_to_epoch_ns: SECOND,
        };
        let records = records();
        let mut events = Vec::new();
        for bytes in &records {
            let record = Record::parse(bytes).unwrap();
            events.extend(Event::join(record, &actor, Some(&container), world, 1));
        }
        assert_eq!(events.len(), records.len());
        let mut wrong = Vec::new();
        for field in Field::all() {
            let found = events.iter().any(|event| has_value(event, field));
            if found != filled(field) {
                wrong.push(format!("{field:?} (has a value: {found})"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
