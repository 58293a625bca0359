//! What `docs/` says of the JSON is all that there is.

mod common;

use common::unknot;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use testkit::{Program, Target};

/// The names of all fields, but for those of an object's state: the documentation refers to their definition.
fn fields(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields_of) => {
            if fields_of.contains_key("is") {
                found.insert("is".to_owned());
                return;
            }
            for (name, value) in fields_of {
                found.insert(name.clone());
                fields(value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| fields(value, found)),
        _ => {}
    }
}

#[test]
fn every_field_is_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let documentation = std::fs::read_to_string(root.join("docs/json.md")).expect("docs/json.md");
    let mut found = BTreeSet::new();
    for example in [
        "knots/ended_holder.py",
        "knots/rlock_condition.py",
        "knots/mp_lock_killed.py",
        "knots/pipe_deadlock.py",
        "knots/flock_processes.py",
        "knots/asyncio_pool.py",
        "healthy/as_completed.py",
        "healthy/asyncio_server.py",
    ] {
        let program = root.join("examples").join(example);
        let interpreter = testkit::matrix()
            .into_iter()
            .next_back()
            .expect("there is an interpreter");
        let mut target =
            Target::spawn(interpreter, Program::Path(&program), &[]).expect("it starts");
        target
            .wait_blocked(Duration::from_secs(120))
            .expect("it comes to rest");
        let pid = target.pid().to_string();
        fields(&unknot(&["why", "--json", &pid]).json(), &mut found);
        fields(
            &unknot(&["dump", "--json", "--locals", &pid]).json(),
            &mut found,
        );
    }
    fields(&unknot(&["ps", "--json"]).json(), &mut found);
    assert!(found.len() > 60, "{found:?}");
    let documented = |name: &&String| {
        documentation.contains(&format!("`{name}`"))
            || documentation.contains(&format!("\"{name}\""))
    };
    let missing: Vec<_> = found.iter().filter(|name| !documented(name)).collect();
    assert!(
        missing.is_empty(),
        "docs/json.md has nothing of {missing:?}"
    );
}
