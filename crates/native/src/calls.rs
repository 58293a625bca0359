//! Whether code right before an address is a call, and whose (Intel's manual, volume 2, CALL).

/// Longest call instruction that is looked at.
pub(crate) const CALL_BYTES_MAX: usize = 7;

/// What stands before a return address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// A call of this address.
    Direct(u64),
    /// A call through a register or memory.
    Indirect,
    /// No call.
    None,
}

/// The call before `return_address`, given the bytes before it.
pub(crate) fn before(return_address: u64, bytes: &[u8; CALL_BYTES_MAX]) -> Call {
    if let [_, _, 0xe8, distance @ ..] = bytes {
        let distance = i64::from(i32::from_le_bytes(*distance));
        return Call::Direct(return_address.wrapping_add_signed(distance));
    }
    // FF /2: the ModRM byte says how many bytes follow.
    let indirect = |length: usize| {
        let at = CALL_BYTES_MAX - length;
        let (Some(0xff), Some(&modrm)) = (bytes.get(at), bytes.get(at + 1)) else {
            return false;
        };
        if modrm >> 3 & 7 != 2 {
            return false;
        }
        let (mode, register) = (modrm >> 6, modrm & 7);
        let sib = usize::from(mode != 3 && register == 4);
        let displacement = match (mode, register) {
            (0, 5) | (2, _) => 4,
            (1, _) => 1,
            _ => 0,
        };
        2 + sib + displacement == length
    };
    match (2..=CALL_BYTES_MAX).any(indirect) {
        true => Call::Indirect,
        false => Call::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_other_code() {
        let call = |bytes: &[u8]| {
            let mut all = [0x90; CALL_BYTES_MAX];
            let at = CALL_BYTES_MAX - bytes.len();
            all[at..].copy_from_slice(bytes);
            before(0x1000, &all)
        };
        assert_eq!(call(&[0xe8, 0xf0, 0xff, 0xff, 0xff]), Call::Direct(0xff0));
        for bytes in [
            &[0xff, 0xd0][..],
            &[0x41, 0xff, 0xd4],
            &[0xff, 0x50, 0x18],
            &[0xff, 0x15, 1, 2, 3, 4],
            &[0xff, 0x94, 0x24, 1, 2, 3, 4],
            &[0xff, 0x14, 0xc8],
        ] {
            assert_eq!(call(bytes), Call::Indirect, "{bytes:x?}");
        }
        assert_eq!(call(&[0xff, 0xe0]), Call::None);
        assert_eq!(call(&[]), Call::None);
    }
}
