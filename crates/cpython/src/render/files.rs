//! Files, sockets, child processes; regular expressions; addresses of the internet.

use super::{Failed, Renderer, bytes_repr, full_name, text_repr};
use crate::number::Integer;
use crate::object::TypeInfo;
use snapshot::Address;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Files in files (a text file, its buffer, the raw file) are followed so deep.
const FILES_DEEP: usize = 3;
/// `textio`, from the end of the object's head: ok, detached, chunk size, buffer, encoding. Up to 3.13 the last two are
/// members of the type too.
const TEXT_BUFFER: u64 = 16;
const TEXT_ENCODING: u64 = 24;
/// `SOCK_NONBLOCK` and `SOCK_CLOEXEC`, which a socket's type may have beside it.
const SOCKET_FLAGS: i32 = 0o2004000;
/// Flags of a regular expression as `re` names them, in the order of its repr (`_sre.c`).
const PATTERN_FLAGS: [(i32, &str); 8] = [
    (1, "re.TEMPLATE"),
    (2, "re.IGNORECASE"),
    (4, "re.LOCALE"),
    (8, "re.MULTILINE"),
    (16, "re.DOTALL"),
    (64, "re.VERBOSE"),
    (128, "re.DEBUG"),
    (256, "re.ASCII"),
];
const UNICODE: i32 = 32;
/// `re.LOCALE`, `re.UNICODE`, `re.ASCII`.
const CHARACTER_SETS: i32 = 4 | UNICODE | 256;
/// A match that ends further than this in its string is shown without its text.
const MATCH_END_MAX: usize = 4096;

impl Renderer<'_> {
    /// `<_io.TextIOWrapper name='/etc/hosts' mode='r' encoding='UTF-8'>`.
    pub(super) fn file(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let name = self.file_name(object)?;
        self.write(format_args!("<{} name=", full_name(class)))?;
        self.value(name);
        if let Ok(Some(mode)) = self.reader.attribute(object, "mode") {
            self.push(" mode=");
            self.value(mode);
        }
        if self.reader.is_subclass(class, "_io", "TextIOWrapper") {
            let encoding = self.head(object)?.plus(TEXT_ENCODING);
            self.push(" encoding=");
            self.value(self.reader.scalar(encoding)?);
        }
        self.push(">");
        Ok(())
    }

    /// The name that the raw file inside was opened by.
    fn file_name(&self, object: Address) -> Result<Address, Failed> {
        let mut file = object;
        for _ in 0..FILES_DEEP {
            if self.reader.is_instance(file, "_io", "TextIOWrapper") {
                file = self.reader.scalar(self.head(file)?.plus(TEXT_BUFFER))?;
            } else if let Some(raw) = self.reader.attribute(file, "raw")? {
                file = raw;
            } else {
                break;
            }
        }
        self.reader.attribute(file, "name")?.ok_or(Failed)
    }

    /// `<socket.socket fd=5, family=2, type=1, proto=0>`; the start of `PySocketSockObject` has been the same since
    /// Python 2.
    pub(super) fn socket(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let fields = self.head(object)?;
        let field = |index: u64| self.reader.scalar::<i32>(fields.plus(index * 4));
        let (fd, family, kind, proto) = (field(0)?, field(1)?, field(2)?, field(3)?);
        let closed = if fd < 0 { " [closed]" } else { "" };
        self.write(format_args!(
            "<{}{closed} fd={fd}, family={family}, type={}, proto={proto}>",
            full_name(class),
            kind & !SOCKET_FLAGS
        ))
    }

    /// `<Popen: pid: 77 returncode: None args: ['make']>`.
    pub(super) fn popen(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let mut parts = Vec::new();
        for name in ["pid", "returncode", "args"] {
            parts.push((name, self.reader.attribute(object, name)?.ok_or(Failed)?));
        }
        let open = format!("<{}:", class.name);
        self.nested(object, &open, ">", |this| {
            for (name, value) in parts {
                this.push(&format!(" {name}: "));
                this.value(value);
            }
            Ok(())
        })
    }

    /// `re.compile('a+', re.IGNORECASE)`.
    pub(super) fn pattern(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        // The flags, an int, stand behind the pattern, a member of its type.
        let slot = class.slots.iter().find(|slot| &*slot.name == "pattern");
        let place = object.plus(slot.ok_or(Failed)?.offset);
        let pattern: Address = self.reader.scalar(place)?;
        let flags: i32 = self.reader.scalar(place.plus(8))?;
        let is_text = self.reader.is_instance(pattern, "builtins", "str");
        // A text's pattern is Unicode unless it says otherwise.
        let unicode_is_told = !is_text || flags & CHARACTER_SETS != UNICODE;
        let mut names = Vec::new();
        for (bit, name) in PATTERN_FLAGS {
            if bit == 64 && flags & UNICODE != 0 && unicode_is_told {
                names.push("re.UNICODE");
            }
            if flags & bit != 0 {
                names.push(name);
            }
        }
        self.push("re.compile(");
        self.value(pattern);
        if !names.is_empty() {
            self.write(format_args!(", {}", names.join("|")))?;
        }
        self.push(")");
        Ok(())
    }

    /// `<re.Match object; span=(0, 2), match='ab'>`.
    pub(super) fn re_match(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        // Behind the pattern, a member of its type (`re`): pos, endpos, lastindex, groups, then the marks.
        let slot = class.slots.iter().find(|slot| &*slot.name == "re");
        let place = object.plus(slot.ok_or(Failed)?.offset);
        let mark = |index: u64| self.reader.scalar::<i64>(place.plus((5 + index) * 8));
        let (start, end) = (mark(0)?, mark(1)?);
        let string = self.reader.attribute(object, "string")?.ok_or(Failed)?;
        self.write(format_args!("<re.Match object; span=({start}, {end})"))?;
        let span = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        if let Some((start, end)) = span
            && let Some(found) = self.piece(string, start, end)
        {
            self.write(format_args!(", match={found}"))?;
        }
        self.push(">");
        Ok(())
    }

    /// The repr of a piece of a text or of bytes, cut to what is shown of one.
    fn piece(&self, string: Address, start: usize, end: usize) -> Option<String> {
        if end > MATCH_END_MAX || start > end {
            return None;
        }
        let last = end.min(start + self.limits.characters);
        let cut = if last < end { "..." } else { "" };
        let repr = match self.reader.text(string, last) {
            Ok(text) => text_repr(text.characters.get(start..last)?),
            Err(_) => bytes_repr(
                self.reader
                    .bytes_object(string, last)
                    .ok()?
                    .get(start..last)?,
            ),
        };
        Some(repr + cut)
    }

    /// `IPv4Address('10.0.0.1')`.
    pub(super) fn ip_address(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let text = self.ip_text(object)?;
        self.write(format_args!("{}('{text}')", class.name))
    }

    /// `IPv4Network('10.0.0.0/8')`.
    pub(super) fn ip_network(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let address = self.reader.attribute(object, "network_address")?;
        let text = self.ip_text(address.ok_or(Failed)?)?;
        let prefix = self.prefix_length(object)?;
        self.write(format_args!("{}('{text}/{prefix}')", class.name))
    }

    /// `IPv4Interface('10.0.0.1/8')`.
    pub(super) fn ip_interface(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let text = self.ip_text(object)?;
        let prefix = self.prefix_length(object)?;
        self.write(format_args!("{}('{text}/{prefix}')", class.name))
    }

    fn prefix_length(&self, object: Address) -> Result<i64, Failed> {
        let prefix = self.reader.attribute(object, "_prefixlen")?;
        Ok(self.reader.int(prefix.ok_or(Failed)?)?)
    }

    fn ip_text(&self, object: Address) -> Result<String, Failed> {
        let value = self.reader.attribute(object, "_ip")?.ok_or(Failed)?;
        let Integer::Exact { digits, .. } = self.reader.integer(value, 128)? else {
            return Err(Failed);
        };
        let digits = digits.iter().rev();
        let value = digits.fold(0u128, |value, digit| value << 30 | u128::from(*digit));
        if !self.reader.is_instance(object, "ipaddress", "IPv6Address") {
            let value = u32::try_from(value).map_err(|_| Failed)?;
            return Ok(Ipv4Addr::from_bits(value).to_string());
        }
        let scope = self.reader.attribute(object, "_scope_id")?;
        let scope = scope.and_then(|scope| self.reader.string(scope, 64).ok());
        let scope = scope.map_or(String::new(), |scope| format!("%{scope}"));
        Ok(format!("{}{scope}", Ipv6Addr::from_bits(value)))
    }
}
