//! What differs between versions and is no offset: the only other place, beside the tables, that knows versions.

use super::{Layout, Version};
use snapshot::Address;

/// How one version does things. Facts from its headers (Include/internal).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// Built without the GIL.
    pub free_threaded: bool,
    /// How a frame tells its current instruction.
    pub instruction: InstructionForm,
    /// Low bits of a reference in a frame (a slot, its executable, its function) that are no part of the address;
    /// 0 where references are plain. See [`Traits::untag`].
    pub stack_ref_mask: u64,
    /// Bits of a string's `state`.
    pub unicode: UnicodeState,
    /// How an int is held.
    pub long: LongForm,
    /// How a dict's keys are held.
    pub dict_keys: DictKeysForm,
    /// Where instances without a `__dict__` of their own keep their attributes.
    pub managed: ManagedForm,
    /// How generators and coroutines name their frame.
    pub generator: GeneratorForm,
    /// Where the GIL is found.
    pub gil: GilHome,
    /// Number that [`super::RLock::rlock_count`] stands below the times it was taken.
    pub rlock_count_bias: u64,
    /// Whether the repr of an OrderedDict is that of a dict inside (3.12+), not of a list of pairs.
    pub ordered_dict_as_dict: bool,
    /// Whether the repr of an ImportError shows its `name` and `path` (3.15+).
    pub import_error_names: bool,
    /// Slots from the top of a suspended frame's value stack down to what it awaits: 1 for the topmost.
    pub awaited_slot: usize,
    owners: &'static [FrameOwner],
    states: &'static [(i8, FrameState)],
}

/// How a frame tells its current instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstructionForm {
    /// 3.8, 3.9: `f_lasti`, in bytes; -1 before the first.
    LastByte,
    /// 3.10: `f_lasti`, in instructions of two bytes; -1 before the first.
    LastUnit,
    /// 3.11, 3.12: `prev_instr` points at the last one started, or at the last of its inline caches.
    Previous,
    /// 3.13+: `instr_ptr` points at the one that runs, or, in a frame that is not running, at the next.
    Pointer,
}

/// Lowest bits of the fields of `PyASCIIObject.state`, counted from the least significant bit of its 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnicodeState {
    /// Three bits: bytes in a character (1, 2 or 4; 0 in a legacy string of 3.8–3.11 that is not ready).
    pub kind: u32,
    /// One bit: the characters follow the struct.
    pub compact: u32,
    /// One bit: ASCII alone.
    pub ascii: u32,
}

impl UnicodeState {
    /// `(kind, compact, ascii)` of a `state`.
    pub fn split(self, state: u32) -> (u32, bool, bool) {
        let bit = |at: u32| state.checked_shr(at).unwrap_or(0) & 1 == 1;
        (
            state.checked_shr(self.kind).unwrap_or(0) & 7,
            bit(self.compact),
            bit(self.ascii),
        )
    }
}

/// How an int is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LongForm {
    /// Up to 3.11: `ob_size` is the number of 30-bit digits, negative for a negative number.
    SignedSize,
    /// From 3.12: `lv_tag`, whose bits 0–1 are the sign (0 positive, 1 zero, 2 negative) and whose bits from 3 on are
    /// the number of 30-bit digits.
    Tag,
}

/// How a dict's keys are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DictKeysForm {
    /// Up to 3.10: `dk_size` index slots, each of the smallest of 1, 2, 4, 8 bytes that holds `dk_size` as a signed
    /// number; then the entries, all of them `PyDictKeyEntry`.
    Size,
    /// From 3.11: `1 << dk_log2_index_bytes` bytes of indices; then the entries, as `dk_kind` says: 0 `PyDictKeyEntry`,
    /// 1 and 2 (split) `PyDictUnicodeEntry`.
    Kind,
}

/// Where instances whose type has `Py_TPFLAGS_MANAGED_DICT` keep their attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManagedForm {
    /// Up to 3.10: there are none; `tp_dictoffset` tells.
    None,
    /// 3.11: two words before the object, either of them null: the dict, and the values.
    Words {
        /// Bytes before the object.
        dict: u64,
        /// Bytes before the object.
        values: u64,
    },
    /// 3.12: one word before the object: the values' address minus one, or the dict's address.
    Tagged {
        /// Bytes before the object.
        word: u64,
    },
    /// 3.13+: the dict, null until somebody asks for it; and, with `Py_TPFLAGS_INLINE_VALUES`, a `PyDictValues` after
    /// the `tp_basicsize` bytes of the object, which counts while its `valid` is 1.
    Inline {
        /// Bytes before the object.
        dict: u64,
    },
}

/// How generators and coroutines name their frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GeneratorForm {
    /// 3.8, 3.9: `gi_frame`, null when finished; `gi_running`.
    Frame,
    /// 3.10: `gi_frame`, null when finished; its `f_executing` is a [`FrameState`].
    FrameWithState,
    /// 3.11+: `gi_iframe`, embedded; `gi_frame_state`.
    Embedded,
}

/// Where the GIL is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GilHome {
    /// Up to 3.11: one for all, at [`super::Runtime::gil`]; its holder is [`super::Runtime::tstate_current`].
    Runtime,
    /// From 3.12: each interpreter points at its own, or at the main one's; its holder is [`super::Gil::last_holder`]
    /// while [`super::Gil::locked`] is 1.
    Interpreter,
}

/// Who owns an interpreter frame (`enum _frameowner`, 3.11+).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameOwner {
    /// The thread's data stack.
    Thread,
    /// A generator or coroutine, in which it lies.
    Generator,
    /// A frame object, after the function returned.
    FrameObject,
    /// No Python frame: a marker where C entered the interpreter. It has no code to show.
    Shim,
}

/// What a generator's frame does (`enum _framestate`, 3.10+).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameState {
    /// Never started.
    Created,
    /// At a `yield`; up to 3.12 also at an `await` or `yield from`.
    Suspended,
    /// 3.13+: at an `await` or `yield from`.
    Awaiting,
    /// Running.
    Executing,
    /// Returned, raised or closed.
    Finished,
}

/// `Py_TPFLAGS_…` in `tp_flags`, the same in each version that has them.
pub mod type_flags {
    /// 3.13+: values follow the instance.
    pub const INLINE_VALUES: u64 = 1 << 2;
    /// 3.12+.
    pub const MANAGED_WEAKREF: u64 = 1 << 3;
    /// 3.11+: see [`super::ManagedForm`].
    pub const MANAGED_DICT: u64 = 1 << 4;
    /// A `PyHeapTypeObject`.
    pub const HEAPTYPE: u64 = 1 << 9;
    /// A subclass of int.
    pub const LONG: u64 = 1 << 24;
    /// A subclass of list.
    pub const LIST: u64 = 1 << 25;
    /// A subclass of tuple.
    pub const TUPLE: u64 = 1 << 26;
    /// A subclass of bytes.
    pub const BYTES: u64 = 1 << 27;
    /// A subclass of str.
    pub const UNICODE: u64 = 1 << 28;
    /// A subclass of dict.
    pub const DICT: u64 = 1 << 29;
    /// A subclass of BaseException.
    pub const EXCEPTION: u64 = 1 << 30;
    /// A subclass of type.
    pub const TYPE: u64 = 1 << 31;
}

const OWNERS_3_11: &[FrameOwner] = &[
    FrameOwner::Thread,
    FrameOwner::Generator,
    FrameOwner::FrameObject,
];
const OWNERS_3_12: &[FrameOwner] = &[
    FrameOwner::Thread,
    FrameOwner::Generator,
    FrameOwner::FrameObject,
    FrameOwner::Shim,
];
const OWNERS_3_14: &[FrameOwner] = &[
    FrameOwner::Thread,
    FrameOwner::Generator,
    FrameOwner::FrameObject,
    FrameOwner::Shim,
    FrameOwner::Shim,
];

const STATES_3_10: &[(i8, FrameState)] = &[
    (-2, FrameState::Created),
    (-1, FrameState::Suspended),
    (0, FrameState::Executing),
    (1, FrameState::Finished),
    (2, FrameState::Finished),
    (3, FrameState::Finished),
    (4, FrameState::Finished),
];
const STATES_3_13: &[(i8, FrameState)] = &[
    (-3, FrameState::Created),
    (-2, FrameState::Suspended),
    (-1, FrameState::Awaiting),
    (0, FrameState::Executing),
    (1, FrameState::Finished),
    (4, FrameState::Finished),
];
const STATES_3_15: &[(i8, FrameState)] = &[
    (0, FrameState::Created),
    (1, FrameState::Suspended),
    (2, FrameState::Awaiting),
    // Locked while another thread looks at what it awaits.
    (3, FrameState::Awaiting),
    (4, FrameState::Executing),
    (5, FrameState::Finished),
];

impl Traits {
    /// Those of a version. A minor version that is not known is taken to be like the nearest known one.
    pub fn of(version: &Version) -> Self {
        let minor = version.minor;
        let free_threaded = version.free_threaded;
        Traits {
            free_threaded,
            instruction: match minor {
                ..=9 => InstructionForm::LastByte,
                10 => InstructionForm::LastUnit,
                11 | 12 => InstructionForm::Previous,
                _ => InstructionForm::Pointer,
            },
            stack_ref_mask: if minor >= 14 { 3 } else { 0 },
            unicode: if minor >= 14 && free_threaded {
                // `interned` has become a whole byte.
                UnicodeState {
                    kind: 8,
                    compact: 11,
                    ascii: 12,
                }
            } else {
                UnicodeState {
                    kind: 2,
                    compact: 5,
                    ascii: 6,
                }
            },
            long: if minor >= 12 {
                LongForm::Tag
            } else {
                LongForm::SignedSize
            },
            dict_keys: if minor >= 11 {
                DictKeysForm::Kind
            } else {
                DictKeysForm::Size
            },
            managed: match minor {
                ..=10 => ManagedForm::None,
                11 => ManagedForm::Words {
                    dict: 24,
                    values: 32,
                },
                12 => ManagedForm::Tagged { word: 24 },
                // Without the GIL no collector's header stands between.
                _ => ManagedForm::Inline {
                    dict: if free_threaded { 8 } else { 24 },
                },
            },
            generator: match minor {
                ..=9 => GeneratorForm::Frame,
                10 => GeneratorForm::FrameWithState,
                _ => GeneratorForm::Embedded,
            },
            gil: if minor >= 12 {
                GilHome::Interpreter
            } else {
                GilHome::Runtime
            },
            rlock_count_bias: u64::from(minor >= 14),
            ordered_dict_as_dict: minor >= 12,
            import_error_names: minor >= 15,
            // 3.15 keeps an index for an iteration over a list or tuple on top of each iterator.
            awaited_slot: if minor >= 15 { 2 } else { 1 },
            owners: match minor {
                ..=11 => OWNERS_3_11,
                12 | 13 => OWNERS_3_12,
                _ => OWNERS_3_14,
            },
            states: match minor {
                ..=12 => STATES_3_10,
                13 | 14 => STATES_3_13,
                _ => STATES_3_15,
            },
        }
    }

    /// The object that a reference of a frame points to; `None` for null and for what is no object
    /// (3.14+: a tagged int or an invalid reference).
    pub fn untag(&self, reference: Address) -> Option<Address> {
        let tag = reference.0 & self.stack_ref_mask;
        // Bit 0 alone says that the reference is borrowed, or that it is null.
        (tag <= 1)
            .then_some(Address(reference.0 & !self.stack_ref_mask))?
            .non_null()
    }

    /// What [`super::InterpreterFrame::owner`] says; `None` for a value that means nothing.
    pub fn frame_owner(&self, owner: i8) -> Option<FrameOwner> {
        self.owners.get(usize::try_from(owner).ok()?).copied()
    }

    /// What [`super::Generator::gi_frame_state`] or, in 3.10, [`super::FrameObject::f_executing`] says; `None` for a
    /// value that means nothing.
    pub fn frame_state(&self, state: i8) -> Option<FrameState> {
        self.states
            .iter()
            .find(|(value, _)| *value == state)
            .map(|(_, state)| *state)
    }
}

/// How `_thread.lock` blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockForm {
    /// [`super::Lock::lock_lock`] points at a `sem_t`; [`super::Lock::locked`] tells whether it is taken.
    Semaphore,
    /// [`super::Lock::mutex`] is a `PyMutex`: bit 0 taken, bit 1 somebody is parked on its address.
    ParkingLot,
}

impl Layout {
    /// How `_thread.lock` blocks here; it changed within a minor version.
    pub fn lock_form(&self) -> LockForm {
        if self.lock.lock_lock.exists() {
            LockForm::Semaphore
        } else {
            LockForm::ParkingLot
        }
    }

    /// Bytes from the start of a `PyDictValues` (up to 3.10: of `ma_values`) to its first value.
    pub fn split_values_offset(&self) -> u64 {
        self.dict_values.values.offset().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tagged_references() {
        let plain = Traits::of(&Version::new(3, 13, 0));
        assert_eq!(plain.untag(Address(0x1001)), Some(Address(0x1001)));
        assert_eq!(plain.untag(Address(0)), None);
        let tagged = Traits::of(&Version::new(3, 14, 0));
        assert_eq!(tagged.untag(Address(0x1001)), Some(Address(0x1000)));
        assert_eq!(tagged.untag(Address(1)), None);
        assert_eq!(tagged.untag(Address(0x1003)), None);
    }
}
