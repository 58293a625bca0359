//! Colours of frames: the hue says what kind it is, the shade tells neighbours apart. The same name always has the same.

use crate::{FrameKind, Function, Profile};

/// A colour as red, green and blue.
pub type Rgb = (u8, u8, u8);

/// Of processes, threads and tasks' rows.
pub const GROUP: Rgb = (0xd5, 0xd9, 0xe2);
/// Of a wait for the GIL.
pub const GIL: Rgb = (0xf2, 0x8f, 0x9c);
/// Of what is unknown.
pub const OUTSIDE: Rgb = (0xe4, 0xe4, 0xe4);

/// The legend: a name, and a colour typical of it.
pub const LEGEND: [(&str, Rgb); 8] = [
    ("program", (0xf5, 0xa6, 0x5b)),
    ("library", (0xf3, 0xdf, 0xa0)),
    ("native code", (0x9d, 0xc3, 0xf0)),
    ("garbage collector", (0xcf, 0xa8, 0xe4)),
    ("waits", (0xa9, 0xcf, 0xcb)),
    ("waits for the GIL", GIL),
    ("task", (0xa8, 0xda, 0xa0)),
    ("process, thread", GROUP),
];

/// Whether a file is a library's rather than the program's own: by where interpreters and installers put them.
pub fn is_library(file: &str) -> bool {
    file.starts_with('<')
        || [
            "/site-packages/",
            "/dist-packages/",
            "/lib/python3",
            "/lib64/python3",
        ]
        .iter()
        .any(|part| file.contains(part))
}

/// A function's colour.
pub fn of(profile: &Profile, function: &Function) -> Rgb {
    let file = profile.text(function.file);
    let name = profile.text(function.name);
    let by_file = f64::from(hash(file) % 1000) / 1000.0;
    let by_name = f64::from(hash(name) % 1000) / 1000.0;
    match function.kind {
        FrameKind::Python if is_library(file) => {
            hsl(45.0 + 6.0 * by_file, 0.72, 0.77 + 0.06 * by_name)
        }
        FrameKind::Python => hsl(16.0 + 24.0 * by_file, 0.88, 0.62 + 0.10 * by_name),
        FrameKind::Native => hsl(206.0 + 14.0 * by_file, 0.70, 0.75 + 0.08 * by_name),
        FrameKind::Gc => hsl(280.0, 0.52, 0.76 + 0.06 * by_name),
        FrameKind::Wait => hsl(168.0 + 16.0 * by_name, 0.28, 0.70 + 0.08 * by_name),
        FrameKind::Task => hsl(112.0, 0.42, 0.72 + 0.06 * by_name),
    }
}

/// `#rrggbb`.
pub fn hex((red, green, blue): Rgb) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// FNV-1a, folded to what a shade needs.
fn hash(text: &str) -> u32 {
    let mut hash = 0x811c_9dc5_u32;
    for byte in text.bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    hash ^ (hash >> 16)
}

fn hsl(hue: f64, saturation: f64, lightness: f64) -> Rgb {
    let a = saturation * lightness.min(1.0 - lightness);
    let channel = |n: f64| {
        let k = (n + hue / 30.0) % 12.0;
        let value = lightness - a * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped"
        )]
        let byte = (value * 255.0).round().clamp(0.0, 255.0) as u8;
        byte
    };
    (channel(0.0), channel(8.0), channel(4.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hues_are_what_they_are_called() {
        assert_eq!(hsl(0.0, 1.0, 0.5), (255, 0, 0));
        assert_eq!(hsl(120.0, 1.0, 0.5), (0, 255, 0));
        assert_eq!(hex(hsl(240.0, 1.0, 0.5)), "#0000ff");
        assert!(is_library("/usr/lib/python3.13/json/decoder.py"));
        assert!(!is_library("/srv/app/python3/bank.py"));
    }
}
