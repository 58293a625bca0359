//! `pstats`: what `cProfile` saves and `pstats.Stats` opens: a marshalled dictionary
//! `{(file, line, function): (calls, calls with recursion, own seconds, seconds, {caller: (…)})}`.
//!
//! Marshal's codes are those of CPython's `Python/marshal.c` that every version from 3.4 on reads. A sampler sees no
//! calls: the numbers of calls are numbers of samples.

use crate::Profile;
use crate::tree::{Cost, Sums};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// What `pstats` knows a function by.
type Key<'a> = (&'a str, u32, &'a str);

/// A function's numbers.
#[derive(Default)]
struct Entry<'a> {
    own: Cost,
    inclusive: Cost,
    callers: BTreeMap<Key<'a>, (Cost, Cost)>,
}

/// Writes marshalled statistics.
///
/// # Errors
/// Those of `out`.
pub fn write(profile: &Profile, out: &mut dyn Write) -> io::Result<()> {
    let sums = Sums::of(profile);
    let key = |id: u32| -> Key<'_> {
        let Some(function) = profile.functions.get(id as usize) else {
            return ("~", 0, "?");
        };
        // `~` is what cProfile says of functions without a file.
        match profile.text(function.file) {
            "" => ("~", 0, profile.text(function.name)),
            file => (file, function.first_line, profile.text(function.name)),
        }
    };
    let mut entries: BTreeMap<Key<'_>, Entry<'_>> = BTreeMap::new();
    for ((function, _), cost) in &sums.own {
        entries.entry(key(*function)).or_default().own.add(*cost);
    }
    for (function, cost) in &sums.inclusive {
        entries
            .entry(key(*function))
            .or_default()
            .inclusive
            .add(*cost);
    }
    for ((caller, _, callee), cost) in &sums.calls {
        let callers = &mut entries.entry(key(*callee)).or_default().callers;
        callers.entry(key(*caller)).or_default().1.add(*cost);
    }
    for ((caller, callee), cost) in &sums.own_by_caller {
        let callers = &mut entries.entry(key(*callee)).or_default().callers;
        callers.entry(key(*caller)).or_default().0.add(*cost);
    }
    if !sums.outside.is_zero() {
        let entry = entries.entry(("~", 0, "(no frame known)")).or_default();
        entry.own.add(sums.outside);
        entry.inclusive.add(sums.outside);
    }
    let mut marshal = Marshal(Vec::new());
    marshal.byte(b'{');
    for (key, entry) in &entries {
        marshal.key(*key);
        marshal.tuple(5);
        marshal.costs(entry.own, entry.inclusive);
        marshal.byte(b'{');
        for (caller, (own, inclusive)) in &entry.callers {
            marshal.key(*caller);
            marshal.tuple(4);
            marshal.costs(*own, *inclusive);
        }
        marshal.byte(b'0');
        if marshal.0.len() > 1 << 16 {
            out.write_all(&marshal.0)?;
            marshal.0.clear();
        }
    }
    marshal.byte(b'0');
    out.write_all(&marshal.0)
}

/// Values in marshal's form.
struct Marshal(Vec<u8>);

impl Marshal {
    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn tuple(&mut self, length: u32) {
        self.byte(b'(');
        self.0.extend_from_slice(&length.to_le_bytes());
    }

    fn key(&mut self, (file, line, name): Key<'_>) {
        self.tuple(3);
        self.text(file);
        self.integer(u64::from(line));
        self.text(name);
    }

    /// Calls, calls with recursion, own seconds, seconds with what is called.
    fn costs(&mut self, own: Cost, inclusive: Cost) {
        self.integer(inclusive.samples);
        self.integer(inclusive.samples);
        self.seconds(own.ns);
        self.seconds(inclusive.ns);
    }

    fn text(&mut self, text: &str) {
        // Marshal's lengths are signed; no name is that long.
        let length = u32::try_from(text.len())
            .ok()
            .filter(|length| *length < 1 << 30);
        let (length, text) = length.map_or((0, ""), |length| (length, text));
        self.byte(b'u');
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn integer(&mut self, value: u64) {
        if let Ok(small) = i32::try_from(value) {
            self.byte(b'i');
            self.0.extend_from_slice(&small.to_le_bytes());
            return;
        }
        // Digits of 15 bits, the lowest first.
        let mut digits = Vec::new();
        let mut rest = value;
        while rest > 0 {
            digits.push((rest & 0x7fff) as u16);
            rest >>= 15;
        }
        self.byte(b'l');
        self.0
            .extend_from_slice(&(digits.len() as u32).to_le_bytes());
        for digit in digits {
            self.0.extend_from_slice(&digit.to_le_bytes());
        }
    }

    fn seconds(&mut self, ns: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a float is what pstats wants")]
        let seconds = ns as f64 / 1e9;
        self.byte(b'g');
        self.0.extend_from_slice(&seconds.to_le_bytes());
    }
}
