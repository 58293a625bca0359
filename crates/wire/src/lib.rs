//! The frames in which unknot and the agent inside a target speak to each other, over a Unix socket.
//!
//! A frame is a head of [`HEAD_LEN`] bytes and a body of JSON. The head is all that the agent's native part reads: it
//! hands a body on to the thread that the head names, or to the agent's part in Python. What the bodies say is declared
//! once for the outside in `session::protocol`, and written and read inside by `agent/inject/support.py`.
//!
//! This one file is compiled into both ends, so it has no dependencies and allocates nothing.

#![cfg_attr(not(test), no_std)]

/// The version of these frames and of the bodies. Both ends come out of one binary; a difference means that an agent
/// of another unknot is still in the process.
pub const VERSION: u32 = 1;

/// Bytes of a head.
pub const HEAD_LEN: usize = 24;

/// Longest body, in bytes.
pub const BODY_MAX: usize = 64 << 20;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Agent to unknot, the first one: who it is in.
    Hello = 1,
    /// Agent to unknot: something happened.
    Event = 2,
    /// Agent to unknot: the answer to the request with the same number.
    Answer = 3,
    /// Unknot to agent: asks something of a thread that is stopped.
    Ask = 4,
    /// Unknot to agent: asks something of the process, whatever its threads do.
    Control = 5,
    /// Unknot to agent: asks whether the agent's own thread lives; answered without the GIL.
    Ping = 6,
}

impl Kind {
    /// By its number.
    pub fn of(number: u32) -> Option<Kind> {
        const ALL: [Kind; 6] = [
            Kind::Hello,
            Kind::Event,
            Kind::Answer,
            Kind::Ask,
            Kind::Control,
            Kind::Ping,
        ];
        ALL.into_iter().find(|kind| *kind as u32 == number)
    }
}

/// What stands before each body: four little-endian numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// What it is.
    pub kind: Kind,
    /// Bytes of the body.
    pub len: u32,
    /// Number of the request, which its answer repeats; 0 for events.
    pub id: u64,
    /// `threading.get_ident()` of the thread that it is of or for; 0 for none.
    pub thread: u64,
}

/// Why bytes are no head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// No such kind.
    Kind(u32),
    /// The body would be longer than [`BODY_MAX`].
    Length(u32),
}

impl Head {
    /// As bytes.
    pub fn encode(&self) -> [u8; HEAD_LEN] {
        let mut bytes = [0; HEAD_LEN];
        let (kind, rest) = bytes.split_at_mut(4);
        let (len, rest) = rest.split_at_mut(4);
        let (id, thread) = rest.split_at_mut(8);
        kind.copy_from_slice(&(self.kind as u32).to_le_bytes());
        len.copy_from_slice(&self.len.to_le_bytes());
        id.copy_from_slice(&self.id.to_le_bytes());
        thread.copy_from_slice(&self.thread.to_le_bytes());
        bytes
    }

    /// From bytes.
    ///
    /// # Errors
    /// When these bytes are no head.
    pub fn decode(bytes: &[u8; HEAD_LEN]) -> Result<Head, Malformed> {
        let [k0, k1, k2, k3, l0, l1, l2, l3, rest @ ..] = *bytes;
        let [i0, i1, i2, i3, i4, i5, i6, i7, thread @ ..] = rest;
        let number = u32::from_le_bytes([k0, k1, k2, k3]);
        let len = u32::from_le_bytes([l0, l1, l2, l3]);
        let kind = Kind::of(number).ok_or(Malformed::Kind(number))?;
        if len as usize > BODY_MAX {
            return Err(Malformed::Length(len));
        }
        Ok(Head {
            kind,
            len,
            id: u64::from_le_bytes([i0, i1, i2, i3, i4, i5, i6, i7]),
            thread: u64::from_le_bytes(thread),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let head = Head {
            kind: Kind::Ask,
            len: 70_000,
            id: 1 << 40,
            thread: 0x7f00_1234_5678,
        };
        assert_eq!(Head::decode(&head.encode()), Ok(head));
        let mut bytes = head.encode();
        bytes[0] = 77;
        assert_eq!(Head::decode(&bytes), Err(Malformed::Kind(77)));
        bytes = head.encode();
        bytes[7] = 0xff;
        assert!(matches!(Head::decode(&bytes), Err(Malformed::Length(_))));
    }
}
