//! From a dentry and its mount to the text of the path, as `d_path` would give it, from any hook.
//!
//! The walk goes up component by component and across mounts to the top of the mount namespace,
//! writing from the end of a buffer. It keeps its state in map memory and goes on in two nested
//! functions of their own, which take and give plain numbers: the verifier looks at such a function
//! once in each program, for any numbers, and never into it from a call. So a walk of thousands of
//! steps costs it a few steps of the inner function and some dozen calls of either. (`bpf_loop`, from
//! 5.17, is no cure: kernels since 6.8 verify its callback a hundred times over.)

use core::arch::asm;
use core::mem::offset_of;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use monitor_common::PATH_MAX;

use crate::layout::*;
use crate::read::{Pointer, Probed, Read, current, masked, readable, until_done};
use crate::scratch;

/// Longest text: `PATH_MAX` less the NUL that is not written.
pub const TEXT_MAX: u32 = PATH_MAX as u32 - 1;
const NAME_MAX: u32 = 255;
/// Steps in one call of the inner function, calls of it by the outer one, and of that in a walk:
/// longest paths have 2047 components of one byte; the rest is for mounts.
const STEPS: u32 = 4;
const INNER_ROUNDS: u32 = 64;
const ROUNDS: u32 = 16;

/// A file's place: a `struct path`, as numbers.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Place {
    /// `struct dentry *`
    pub dentry: u64,
    /// `struct vfsmount *`
    pub mnt: u64,
}

/// How a walk ended.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct End;

impl End {
    /// Out of steps, or of room.
    pub const TRUNCATED: u32 = 0;
    /// At the root of the task's mount namespace.
    pub const ROOT: u32 = 1;
    /// At a root that is not the task's.
    pub const DETACHED: u32 = 2;
    /// It never began: a file without a directory, such as a memfd. The text is its name.
    pub const PSEUDO: u32 = 3;
}

/// State of a walk, in map memory.
#[repr(C)]
pub struct Walk {
    dentry: u64,
    mnt: u64,
    /// Root dentry of `mnt`, the mount that it is on (`struct mount *`), and where (a dentry).
    root: u64,
    above: u64,
    point: u64,
    /// The task's mount namespace.
    home: u64,
    /// The mount of the root file system that the walk came to (`struct vfsmount *`).
    top: u64,
    /// The same, if the latest walk to [`Slot::Resolved`](monitor_common::Slot) came there from
    /// where a mount shows a file that lies elsewhere, or never came there; else 0.
    elsewhere: u64,
    /// A directory to look out for, and where the text began when the walk came to it.
    pub mark: Place,
    pub marked: u32,
    /// Number by which [`scratch::walk_of`] finds this.
    pub number: u32,
    /// Where the text begins.
    pub start: u32,
    /// One of [`End`].
    pub end: u32,
    /// Whether a mount on the way shows something that lies elsewhere.
    moved: u32,
    /// What was read of a dentry or mount.
    words: [u64; WORDS],
    /// The text, and room for a last name so that every write is within bounds.
    pub text: [u8; PATH_MAX + NAME_MAX as usize + 1],
}

/// Where the current task works.
#[inline(always)]
pub fn cwd() -> Place {
    // SAFETY: the current task is typed.
    unsafe { cwd_of::<Probed>(current()) }
}

/// Where a task works.
///
/// # Safety
/// As for [`Read::at`].
#[inline(always)]
pub unsafe fn cwd_of<R: Read>(task: Pointer) -> Place {
    // SAFETY: the caller's.
    unsafe { place_of_task::<R>(task, &FS_PWD) }
}

/// The current task's root.
#[inline(always)]
fn root() -> Place {
    // SAFETY: the current task is typed.
    unsafe { place_of_task::<Probed>(current(), &FS_ROOT) }
}

#[inline(always)]
unsafe fn place_of_task<R: Read>(task: Pointer, member: &Member) -> Place {
    // SAFETY: the caller's.
    unsafe {
        let fs: Pointer = R::get(task, &TASK_FS);
        place_at::<R>(fs, member.load())
    }
}

/// The `struct path` at `offset` bytes from `base`.
///
/// # Safety
/// As for [`Read::at`].
#[inline(always)]
pub unsafe fn place_at<R: Read>(base: Pointer, offset: u32) -> Place {
    // SAFETY: the caller's.
    unsafe {
        if HAVE_CAST.load() == 0 && PATH_DENTRY.load() == PATH_MNT.load() + 8 {
            let [mnt, dentry] = R::at(base, offset + PATH_MNT.load());
            return Place { dentry, mnt };
        }
        Place {
            dentry: Probed::at(base, offset + PATH_DENTRY.load()),
            mnt: Probed::at(base, offset + PATH_MNT.load()),
        }
    }
}

/// Tells a walk which mount namespace is the task's.
///
/// # Safety
/// `walk` points into a map value.
#[inline(always)]
pub unsafe fn set_home(walk: *mut Walk, home: u64) {
    // SAFETY: the caller's.
    unsafe { (&raw mut (*walk).home).write_volatile(home) };
}

/// A task's mount namespace.
///
/// # Safety
/// As for [`Read::at`].
#[inline(always)]
pub unsafe fn home<R: Read>(task: Pointer) -> u64 {
    // SAFETY: the caller's.
    unsafe {
        let proxy: Pointer = R::get(task, &TASK_NSPROXY);
        R::get(proxy, &NSPROXY_MNT)
    }
}

/// Whether the latest walk to a file ended well, and no mount shows the file elsewhere than where it
/// lies.
///
/// # Safety
/// `walk` points into a map value.
#[inline(always)]
pub unsafe fn is_plain(walk: *const Walk) -> bool {
    // SAFETY: the caller's.
    unsafe {
        (&raw const (*walk).end).read_volatile() != End::TRUNCATED
            && (&raw const (*walk).elsewhere).read_volatile() == 0
    }
}

/// Whether the latest walk found the path that a file has in its file system: no mount on the way
/// shows something elsewhere, and the last shows all of it.
///
/// # Safety
/// `walk` points into a map value.
#[inline(always)]
pub unsafe fn is_of_file_system(walk: *const Walk) -> bool {
    // SAFETY: the caller's; probed.
    unsafe {
        let top = (&raw const (*walk).top).read_volatile() as Pointer;
        let block: Pointer = Probed::get(top, &VFSMOUNT_SB);
        (&raw const (*walk).moved).read_volatile() == 0
            && Probed::get::<u64>(top, &VFSMOUNT_ROOT) == Probed::get::<u64>(block, &SB_ROOT)
    }
}

/// Says where a walk is to start.
///
/// # Safety
/// `walk` points into a map value.
#[inline(always)]
pub unsafe fn begin(walk: *mut Walk, from: Place) {
    // SAFETY: the caller's.
    unsafe {
        (&raw mut (*walk).dentry).write_volatile(from.dentry);
        (&raw mut (*walk).mnt).write_volatile(from.mnt);
    }
}

/// Walks; the text is then in `walk.text` from `walk.start`, and its length is returned.
///
/// # Safety
/// `walk` points into a map value.
#[inline(always)]
pub unsafe fn walk(walk: *mut Walk) -> u32 {
    // SAFETY: the caller's.
    unsafe {
        let mnt = (&raw const (*walk).mnt).read_volatile();
        enter(walk, mount_of(walk, mnt as Pointer));
        (&raw mut (*walk).start).write_volatile(TEXT_MAX);
        (&raw mut (*walk).end).write_volatile(End::TRUNCATED);
        (&raw mut (*walk).top).write_volatile(0);
        (&raw mut (*walk).moved).write_volatile(0);
        walk_far((&raw const (*walk).number).read_volatile());
        finish(walk)
    }
}

/// Notes, after a walk to a file, whether a mount showed it elsewhere than where it lies.
///
/// # Safety
/// `walk` points into a map value.
#[inline(always)]
pub unsafe fn keep_elsewhere(walk: *mut Walk) {
    // SAFETY: the caller's.
    unsafe {
        let elsewhere = match (&raw const (*walk).end).read_volatile() {
            End::ROOT if (&raw const (*walk).moved).read_volatile() != 0 => {
                (&raw const (*walk).top).read_volatile()
            }
            // A tree that is mounted nowhere.
            End::DETACHED => root().mnt,
            _ => 0,
        };
        (&raw mut (*walk).elsewhere).write_volatile(elsewhere);
    }
}

/// Says where a walk in the root file system is to start, if a mount shows the file elsewhere.
///
/// # Safety
/// `walk` points into a map value; the latest walk to a file was one to `from`.
#[inline(always)]
pub unsafe fn begin_original(walk: *mut Walk, from: Place) -> bool {
    // SAFETY: the caller's.
    unsafe {
        if (&raw const (*walk).elsewhere).read_volatile() == 0 {
            return false;
        }
        begin(walk, from);
    }
    true
}

/// Walks to where a file is in the root file system; the length of the text, 0 if it is in another
/// file system.
///
/// # Safety
/// `walk` points into a map value, and was begun.
#[inline(always)]
pub unsafe fn walk_original(walk: *mut Walk) -> u32 {
    // SAFETY: the caller's; probed.
    unsafe {
        let top = (&raw const (*walk).elsewhere).read_volatile() as Pointer;
        let mnt = (&raw const (*walk).mnt).read_volatile() as Pointer;
        if Probed::get::<u64>(mnt, &VFSMOUNT_SB) != Probed::get::<u64>(top, &VFSMOUNT_SB) {
            return 0;
        }
        // No mount is crossed: the walk ends at the root of that mount, or of the file system.
        (&raw mut (*walk).mnt).write_volatile(0);
        let root = Probed::get(top, &VFSMOUNT_ROOT);
        enter(walk, [0, 0, root]);
        (&raw mut (*walk).start).write_volatile(TEXT_MAX);
        (&raw mut (*walk).end).write_volatile(End::TRUNCATED);
        walk_far((&raw const (*walk).number).read_volatile());
        let start = (&raw const (*walk).start).read_volatile();
        match (&raw const (*walk).end).read_volatile() {
            End::ROOT | End::DETACHED => TEXT_MAX.wrapping_sub(start) & 0xfff,
            _ => 0,
        }
    }
}

/// Goes on with a walk until it ends. No function of its own: some programs call as deep as can be.
#[inline(always)]
fn walk_far(number: u32) {
    // Most walks need no more: each function that is left costs as much as a step.
    if walk_on(number) != 0 || walk_on(number) != 0 {
        return;
    }
    until_done(ROUNDS, || walk_further(number));
}

/// Goes on with a walk for a longer while; 1 when it has ended.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn walk_further(number: u32) -> u32 {
    until_done(INNER_ROUNDS, || walk_on(number))
}

/// Goes on with a walk for a while; 1 when it has ended.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn walk_on(number: u32) -> u32 {
    let Some(walk) = scratch::walk_of(number) else {
        return 1;
    };
    let mut taken = 0;
    while taken < STEPS {
        // SAFETY: a checked map value.
        if unsafe { step(walk) } != 0 {
            return 1;
        }
        taken += 1;
    }
    0
}

/// Decides what the end of the walk means.
#[inline(always)]
unsafe fn finish(walk: *mut Walk) -> u32 {
    // SAFETY: the caller's.
    unsafe {
        let mut start = (&raw const (*walk).start).read_volatile();
        if (&raw const (*walk).end).read_volatile() == End::ROOT {
            if start == TEXT_MAX {
                start = TEXT_MAX - 1;
                (*walk).text[start as usize] = b'/';
                (&raw mut (*walk).start).write_volatile(start);
            }
            let mnt = (&raw const (*walk).mnt).read_volatile() as Pointer;
            let mount = mnt.wrapping_sub(MOUNT_MNT.load() as usize);
            let home = (&raw const (*walk).home).read_volatile();
            if Probed::get::<u64>(mount, &MOUNT_NS) != home {
                (&raw mut (*walk).end).write_volatile(End::DETACHED);
            }
        }
        TEXT_MAX.wrapping_sub(start) & 0xfff
    }
}

/// One component or one mount; 1 ends the walk.
#[inline(always)]
unsafe fn step(walk: *mut Walk) -> u32 {
    // SAFETY: the caller's.
    unsafe {
        let dentry = (&raw const (*walk).dentry).read_volatile();
        let mnt = (&raw const (*walk).mnt).read_volatile();
        let mark = (&raw const (*walk).mark).read_volatile();
        // As few branches as can be: the verifier follows all ways through each step.
        if (dentry ^ mark.dentry) | (mnt ^ mark.mnt) == 0 {
            let start = (&raw const (*walk).start).read_volatile();
            (&raw mut (*walk).marked).write_volatile(start);
        }
        if dentry == (&raw const (*walk).root).read_volatile() {
            return cross_mount(walk);
        }
        let component = component(walk, dentry as Pointer);
        if component.parent == dentry {
            return no_parent(walk, &component);
        }
        let start = (&raw const (*walk).start).read_volatile();
        if start.wrapping_sub(component.len + 1) > TEXT_MAX {
            return 1;
        }
        let slash = prepend(walk, start, &component).wrapping_sub(1) & 0xfff;
        (*walk).text[slash as usize] = b'/';
        (&raw mut (*walk).start).write_volatile(slash);
        (&raw mut (*walk).dentry).write_volatile(component.parent);
        0
    }
}

/// What a walk reads of a dentry: its parent and its name.
struct Component {
    parent: u64,
    name: Pointer,
    len: u32,
    /// Whether it takes no more than [`SHORT`] words; without plain loads, it was read too then, into
    /// the walk's words from [`NAME_WORD`] on.
    is_short: bool,
}

/// Words of a short name, which the dentry holds itself: 32 bytes or more on all known kernels, of
/// which the last is a NUL.
const SHORT: usize = 4;
/// Words from the parent of a dentry on to the end of that: parent, hash and length, name, inode.
const NAME_WORD: usize = 4;
const WORDS: usize = NAME_WORD + SHORT;

/// The members lie side by side on all known kernels: one read, where that takes the helper.
#[inline(always)]
unsafe fn component(walk: *mut Walk, dentry: Pointer) -> Component {
    // SAFETY: probed reads take any address; as for `step`.
    unsafe {
        let side_by_side = HAVE_CAST.load() == 0
            && DENTRY_NAME_LEN.load() == DENTRY_PARENT.load() + 12
            && DENTRY_NAME.load() == DENTRY_PARENT.load() + 16;
        if side_by_side && DENTRY_SHORT_NAME.load() == DENTRY_PARENT.load() + 32 {
            read_words(walk, dentry, &DENTRY_PARENT, WORDS);
            let word = |index| word(walk, index).read_volatile();
            let (name, len) = (word(2), (word(1) >> 32) as u32 & NAME_MAX);
            let held = (dentry as u64).wrapping_add(DENTRY_SHORT_NAME.load().into());
            return Component {
                parent: word(0),
                name: name as Pointer,
                len,
                is_short: (name ^ held) | u64::from(len / (8 * SHORT as u32)) == 0,
            };
        }
        let len: u32 = Probed::get(dentry, &DENTRY_NAME_LEN);
        Component {
            parent: Probed::get(dentry, &DENTRY_PARENT),
            name: Probed::get(dentry, &DENTRY_NAME),
            len: len & NAME_MAX,
            is_short: HAVE_CAST.load() != 0 && len & NAME_MAX <= 8 * SHORT as u32,
        }
    }
}

/// Reads words of the kernel's into those of the walk: the stack has no room for them where
/// programs call deep.
#[inline(always)]
unsafe fn read_words(walk: *mut Walk, base: Pointer, member: &Member, count: usize) {
    // SAFETY: as for `step`; the helper takes any address, and fills all with zeros if it fails.
    unsafe {
        let from = base.wrapping_add(member.load() as usize);
        bpf_probe_read_kernel(word(walk, 0).cast(), 8 * count as u32, from.cast());
    }
}

/// One of the walk's words, fewer than [`WORDS`].
#[inline(always)]
unsafe fn word(walk: *mut Walk, index: usize) -> *mut u64 {
    // SAFETY: as for `step`.
    unsafe { (&raw mut (*walk).words).cast::<u64>().add(index) }
}

/// What a mount is on (`struct mount *`), where (a dentry), and its root.
type Mount = [u64; 3];

/// Of a `struct vfsmount *`; the members lie side by side on all known kernels: one read, where that
/// takes the helper.
#[inline(always)]
unsafe fn mount_of(walk: *mut Walk, mnt: Pointer) -> Mount {
    // SAFETY: probed reads take any address; as for `step`.
    unsafe {
        let mount = mnt.wrapping_sub(MOUNT_MNT.load() as usize);
        let side_by_side = HAVE_CAST.load() == 0
            && MOUNT_POINT.load() == MOUNT_PARENT.load() + 8
            && MOUNT_MNT.load() + VFSMOUNT_ROOT.load() == MOUNT_PARENT.load() + 16;
        if side_by_side {
            read_words(walk, mount, &MOUNT_PARENT, 3);
            let word = |index| word(walk, index).read_volatile();
            return [word(0), word(1), word(2)];
        }
        [
            Probed::get(mount, &MOUNT_PARENT),
            Probed::get(mount, &MOUNT_POINT),
            Probed::get(mnt, &VFSMOUNT_ROOT),
        ]
    }
}

/// Goes on in a mount.
#[inline(always)]
unsafe fn enter(walk: *mut Walk, [above, point, root]: Mount) {
    // SAFETY: as for `step`.
    unsafe {
        (&raw mut (*walk).above).write_volatile(above);
        (&raw mut (*walk).point).write_volatile(point);
        (&raw mut (*walk).root).write_volatile(root);
    }
}

/// From the root of a mount to where it is mounted.
#[inline(always)]
unsafe fn cross_mount(walk: *mut Walk) -> u32 {
    // SAFETY: as for `step`.
    unsafe {
        let mnt = (&raw const (*walk).mnt).read_volatile();
        let mount = mnt.wrapping_sub(MOUNT_MNT.load().into());
        let parent = (&raw const (*walk).above).read_volatile();
        let top = (&raw const (*walk).top).read_volatile();
        if parent == mount || parent == 0 {
            if top == 0 {
                (&raw mut (*walk).top).write_volatile(mnt);
            }
            (&raw mut (*walk).end).write_volatile(End::ROOT);
            return 1;
        }
        let above = parent.wrapping_add(MOUNT_MNT.load().into());
        let next = mount_of(walk, above as Pointer);
        let [parent_of_parent, _, root] = next;
        let point = (&raw const (*walk).point).read_volatile();
        if point == root && parent_of_parent == parent {
            // The root file system lies over what the kernel began with.
            (&raw mut (*walk).top).write_volatile(mnt);
        } else if point != (&raw const (*walk).root).read_volatile() {
            (&raw mut (*walk).moved).write_volatile(1);
        }
        (&raw mut (*walk).dentry).write_volatile(point);
        (&raw mut (*walk).mnt).write_volatile(above);
        enter(walk, next);
        0
    }
}

/// A dentry that has no parent and is not the root of its mount.
#[inline(always)]
unsafe fn no_parent(walk: *mut Walk, component: &Component) -> u32 {
    // SAFETY: as for `step`.
    unsafe {
        let start = (&raw const (*walk).start).read_volatile();
        if start == TEXT_MAX {
            let start = prepend(walk, TEXT_MAX, component);
            (&raw mut (*walk).start).write_volatile(start);
            (&raw mut (*walk).end).write_volatile(End::PSEUDO);
        } else {
            (&raw mut (*walk).end).write_volatile(End::DETACHED);
        }
        1
    }
}

/// Writes a name in front of `start`; returns where it begins.
#[inline(always)]
unsafe fn prepend(walk: *mut Walk, start: u32, component: &Component) -> u32 {
    let begin = masked::<0xfff>(start.wrapping_sub(component.len));
    // SAFETY: at most 4095 + 255 bytes in, which `text` has.
    unsafe {
        let to = (&raw mut (*walk).text).cast::<u8>().add(begin as usize);
        if component.is_short && HAVE_CAST.load() != 0 {
            put_end(walk, start, component);
        } else if component.is_short {
            put_short(to, word(walk, NAME_WORD), component.len);
        } else {
            bpf_probe_read_kernel(to.cast(), component.len, component.name.cast());
        }
    }
    begin
}

/// Writes a short name in front of `start` word by word, from its end. What is read from before it goes
/// where nothing is yet: before the text, or into the words before that, which are of no use here.
#[inline(always)]
unsafe fn put_end(walk: *mut Walk, start: u32, component: &Component) {
    const _: () = assert!(offset_of!(Walk, words) + 8 * WORDS == offset_of!(Walk, text));
    let end = component.name.wrapping_add(component.len as usize);
    let mut index = 1;
    while index <= SHORT {
        // SAFETY: no less than 32 bytes before the text and no more than its length; loads of what is
        // not there read 0.
        unsafe {
            let to = (&raw mut (*walk).text).cast::<u8>();
            let to = to.add(masked::<0xfff>(start) as usize).sub(8 * index);
            let word = load(readable(end.wrapping_sub(8 * index)));
            store(to, word);
        }
        index += 1;
    }
}

/// Writes a short name word by word; what lies behind it stays.
#[inline(always)]
unsafe fn put_short(to: *mut u8, name: *const u64, len: u32) {
    let mut index = 0;
    while index < SHORT {
        let ours = first_bytes(i64::from(len) - 8 * index as i64);
        // SAFETY: the caller's memory has room for all words, and has all of the name.
        unsafe {
            let to = to.add(8 * index);
            store(
                to,
                load(to) & !ours | name.add(index).read_volatile() & ours,
            );
        }
        index += 1;
    }
}

/// The first bytes of a word, as many as given: none for negative ones, all for eight and more.
/// Without a branch, each of which the verifier would follow twice.
#[inline(always)]
fn first_bytes(count: i64) -> u64 {
    let mut bytes = count;
    // SAFETY: touches its operands only.
    unsafe {
        asm!(
            // Not below 0: the sign is all bits of a negative one.
            "{mask} = {bytes}",
            "{mask} s>>= 63",
            "{mask} ^= -1",
            "{bytes} &= {mask}",
            // Not above 8.
            "{bytes} += -8",
            "{mask} = {bytes}",
            "{mask} s>>= 63",
            "{bytes} &= {mask}",
            "{bytes} += 8",
            // A word is moved by no more than 63 bits: twice by half.
            "{bytes} <<= 2",
            "{mask} = 1",
            "{mask} <<= {bytes}",
            "{mask} <<= {bytes}",
            "{mask} += -1",
            "{bytes} = {mask}",
            bytes = inout(reg) bytes,
            mask = out(reg) _,
        )
    };
    bytes as u64
}

/// A word from any address: the compiler would take it byte by byte. The machines here have the
/// low byte first, and take a word anywhere.
#[inline(always)]
pub unsafe fn load(from: *const u8) -> u64 {
    let word: u64;
    // SAFETY: the caller's; the verifier checks the address.
    unsafe { asm!("{word} = *(u64 *)({from} + 0)", word = out(reg) word, from = in(reg) from) };
    word
}

/// Stores a word anywhere.
#[inline(always)]
unsafe fn store(to: *mut u8, word: u64) {
    // SAFETY: as for `load`.
    unsafe { asm!("*(u64 *)({to} + 0) = {word}", to = in(reg) to, word = in(reg) word) };
}
