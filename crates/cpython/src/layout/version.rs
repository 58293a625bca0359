//! Versions of CPython.

use std::fmt;

/// A version of CPython and its kind of build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 3.
    pub major: u8,
    /// 13 of 3.13.2.
    pub minor: u8,
    /// 2 of 3.13.2.
    pub micro: u8,
    /// `0xa` alpha, `0xb` beta, `0xc` release candidate, `0xf` final.
    pub level: u8,
    /// 2 of rc2; 0 of a final release.
    pub serial: u8,
    /// Built without the GIL.
    pub free_threaded: bool,
}

/// [`Version::level`] of a final release.
pub const FINAL: u8 = 0xf;

impl Version {
    /// A final release with the GIL.
    pub const fn new(major: u8, minor: u8, micro: u8) -> Self {
        Version {
            major,
            minor,
            micro,
            level: FINAL,
            serial: 0,
            free_threaded: false,
        }
    }

    /// The same version, built without the GIL.
    #[must_use]
    pub const fn free_threaded(self) -> Self {
        Version {
            free_threaded: true,
            ..self
        }
    }

    /// From `PY_VERSION_HEX`, as `Py_Version` and the debug offsets hold it. Nothing there tells the kind of build:
    /// it comes out as one with the GIL.
    pub const fn from_hex(hex: u32) -> Self {
        let [major, minor, micro, stage] = hex.to_be_bytes();
        Version {
            major,
            minor,
            micro,
            level: stage >> 4,
            serial: stage & 0xf,
            free_threaded: false,
        }
    }

    /// Whether this can be the version of a Python 3.
    pub fn is_plausible(&self) -> bool {
        self.major == 3 && self.minor < 64 && matches!(self.level, 0xa | 0xb | 0xc | FINAL)
    }

    /// `3.13`, `3.13t`: what tells layouts apart, patch releases aside.
    pub fn tag(&self) -> String {
        format!(
            "{}.{}{}",
            self.major,
            self.minor,
            if self.free_threaded { "t" } else { "" }
        )
    }
}

/// `3.13.0`, `3.15.0rc2`, as `sys.version` starts; the kind of build is not in it.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)?;
        let stage = match self.level {
            0xa => "a",
            0xb => "b",
            0xc => "rc",
            _ => return Ok(()),
        };
        write!(f, "{stage}{}", self.serial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_as_python_does() {
        assert_eq!(Version::from_hex(0x030d_00f0).to_string(), "3.13.0");
        assert_eq!(Version::from_hex(0x030f_00c2).to_string(), "3.15.0rc2");
        assert_eq!(Version::from_hex(0x030d_00f0), Version::new(3, 13, 0));
        assert_eq!(Version::new(3, 14, 1).free_threaded().tag(), "3.14t");
        assert!(!Version::from_hex(0xffff_ffff).is_plausible());
    }
}
