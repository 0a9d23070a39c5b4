//! Where measured tables stand in tests/bench/README.md: between two comments that name the command.

const README: &str = "tests/bench/README.md";

/// Panics unless there is a place for the tables of this command: better before it measures than after.
pub(crate) fn look_for_a_place(command: &str) {
    parts(command);
}

/// Puts the tables in the place of those that an earlier run left there.
pub(crate) fn put(command: &str, tables: &str) {
    let [before, after] = parts(command);
    let readme = format!("{before}\n\n{}\n\n{after}", tables.trim());
    std::fs::write(README, readme).unwrap();
}

/// What comes before and after the tables, with the comments.
fn parts(command: &str) -> [String; 2] {
    let readme = std::fs::read_to_string(README).unwrap();
    let place = |what| {
        let comment = format!("<!-- {command}: {what} -->");
        let at = readme.find(&comment);
        at.map(|at| (at, at + comment.len()))
    };
    match (place("begin"), place("end")) {
        (Some((_, begin)), Some((end, _))) if begin <= end => {
            [&readme[..begin], &readme[end..]].map(str::to_owned)
        }
        _ => panic!("{README} has no place for the tables of {command}"),
    }
}
