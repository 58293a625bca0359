//! Readers meet damaged and hostile files: whatever they say, they say it soon, and what they accept can be written.

use profile::{Format, read, synthetic, write};
use std::io::Write;

/// A fixed sequence of numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

fn written(profile: &profile::Profile, format: Format) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(profile, format, &mut bytes).expect("memory");
    bytes
}

/// What is inside of a gzip file, where the mutations should be.
fn unpacked(bytes: Vec<u8>) -> Vec<u8> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return bytes;
    }
    let mut out = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(bytes.as_slice());
    std::io::Read::read_to_end(&mut reader, &mut out).expect("our own");
    out
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.is_empty() {
        return;
    }
    let at = random.below(bytes.len());
    match random.below(7) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.below(256) as u8,
        2 => bytes.truncate(at),
        3 => {
            // A number, wherever one is, becomes another one.
            if let Some(digit) = bytes[at..].iter().position(u8::is_ascii_digit) {
                bytes[at + digit] = b'0' + random.below(10) as u8;
            }
        }
        4 => {
            let end = (at + 1 + random.below(64)).min(bytes.len());
            bytes.drain(at..end);
        }
        5 => {
            let end = (at + 1 + random.below(64)).min(bytes.len());
            let part = bytes[at..end].to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, part);
        }
        _ => {
            let huge: &[u8] = [
                &b"18446744073709551615"[..],
                b"-1",
                b"null",
                b"1e308",
                b"\xff\xff\xff\xff\x7f",
            ][random.below(5)];
            bytes.splice(at..at, huge.iter().copied());
        }
    }
}

#[test]
fn mutated_files_are_refused_or_can_be_written() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let small = synthetic::wide(1);
    let (mut accepted, mut refused) = (0, 0);
    for format in Format::all().filter(|format| format.is_readable()) {
        for (profile, rounds) in [
            (&small, 400),
            (&synthetic::hostile(), 200),
            (&synthetic::server(), 10),
        ] {
            let whole = unpacked(written(profile, format));
            for _ in 0..rounds {
                let mut bytes = whole.clone();
                for _ in 0..=random.below(3) {
                    mutate(&mut bytes, &mut random);
                }
                let Ok(profile) = read(&bytes) else {
                    refused += 1;
                    continue;
                };
                accepted += 1;
                assert_eq!(profile.check(), Ok(()), "{format}");
                if accepted % 25 == 0 {
                    for format in Format::all() {
                        write(&profile, format, &mut std::io::sink()).expect("a sink takes all");
                    }
                    profile::diff(&small, &profile, 10);
                }
            }
        }
    }
    assert!(accepted > 100 && refused > 100, "{accepted} {refused}");
}

#[test]
fn a_small_file_cannot_grow_without_end() {
    // Members of a megabyte each, a thousand bytes when packed.
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(&vec![b' '; 1 << 20]).expect("memory");
    let bomb = packer.finish().expect("memory").repeat(600);
    assert!(
        read(&bomb)
            .expect_err("too large")
            .to_string()
            .contains("512 MiB")
    );

    // A chain of stacks, each with a total: sixty thousand lines of sixty thousand frames.
    let depth = 60_000;
    let column = |of: &dyn Fn(usize) -> String| (0..depth).map(of).collect::<Vec<_>>().join(",");
    let deep = format!(
        r#"{{"format":"unknot-profile","schema":1,"about":{{}},"strings":["","f"],
        "functions":{{"name":[1],"file":[0],"first_line":[0],"kind":["python"]}},"frames":{{"function":[0],"line":[1]}},
        "stacks":{{"parent":[{}],"frame":[{}]}},"processes":[{{"pid":1,"parent":0,"name":0,"start_ns":0}}],
        "tracks":[{{"process":0,"tid":1,"thread":0}}],"totals":{{"track":[{}],"stack":[{}],"state":[{}],"samples":[{}],
        "wall_ns":[{}],"cpu_ns":[{}]}},"timeline":{{"start_delta_ns":[],"duration_ns":[],"total":[]}}}}"#,
        column(&|i| if i == 0 {
            "null".to_owned()
        } else {
            (i - 1).to_string()
        }),
        column(&|_| "0".to_owned()),
        column(&|_| "0".to_owned()),
        column(&|i| i.to_string()),
        column(&|_| "\"running\"".to_owned()),
        column(&|_| "1".to_owned()),
        column(&|_| "1".to_owned()),
        column(&|_| "1".to_owned()),
    );
    assert!(
        read(deep.as_bytes())
            .expect_err("too deep")
            .to_string()
            .contains("frames in its stacks")
    );

    // JSON nested without end, and brackets in lines.
    assert!(read("[".repeat(1 << 20).as_bytes()).is_err());
    assert!(read(format!("{{\"a\":{}", "[".repeat(1 << 20)).as_bytes()).is_err());
}

#[test]
fn a_deep_stack_is_written_without_recursion() {
    let mut builder = profile::Builder::new(profile::Limits::default());
    let process = builder.process(profile::Process::default());
    let track = builder.track(profile::Track {
        process,
        ..profile::Track::default()
    });
    let name = builder.string("deep");
    let mut stack = None;
    for line in 0..50_000 {
        let function = builder.function(profile::Function {
            name,
            file: name,
            first_line: 1,
            kind: profile::FrameKind::Python,
        });
        let frame = builder.frame(profile::Frame {
            function,
            line: line % 7,
            instruction: None,
        });
        stack = builder.stack(stack, frame);
    }
    let total = builder.total(track, stack, profile::State::Running);
    builder.add(profile::Sample {
        total,
        at_ns: 0,
        wall_ns: 1_000_000,
        cpu_ns: 1_000_000,
    });
    let profile = builder.finish();
    for format in Format::all() {
        let bytes = written(&profile, format);
        if format.is_readable() {
            let again = read(&bytes).unwrap_or_else(|error| panic!("{format}: {error}"));
            assert_eq!(
                again.frames_of(again.totals[0].stack).count(),
                50_000,
                "{format}"
            );
        }
    }
    profile::diff(&profile, &profile, 10);
}
