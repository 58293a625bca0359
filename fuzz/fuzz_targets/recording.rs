//! Files that are said to be recordings: what is accepted fits together and can be written in every form.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(profile) = profile::read(bytes) else {
        return;
    };
    assert_eq!(profile.check(), Ok(()));
    for format in profile::Format::all() {
        profile::write(&profile, format, &mut std::io::sink()).expect("a sink takes all");
    }
    let _ = profile::diff(&profile, &profile, 10);
});
