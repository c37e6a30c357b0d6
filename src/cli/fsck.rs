//! `tinydock system fsck`

use super::table::{bytes, table};
use super::{Command, print, report, tidy_all};
use crate::engine::Engine;
use crate::error::Result;
use crate::flags::{Order, Parsed, switch};

pub const COMMAND: Command = Command {
    name: "system fsck",
    usage: "[--repair]",
    summary: "Check every blob and layer, and count every byte of the store",
    flags: &[switch(
        "repair",
        None,
        "Put right what can be put right, and remove what nothing needs",
    )],
    order: Order::Mixed,
    arguments: (0, 0),
    failure: 1,
    run,
};

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy_all(engine);
    let found = engine.fsck(parsed.is_set("repair"))?;
    let rows = found
        .uses
        .iter()
        .map(|(what, count, size)| [(*what).to_string(), count.to_string(), bytes(*size)]);
    let total = ["total".to_string(), String::new(), bytes(found.total)];
    print(table(["WHAT", "COUNT", "SIZE"], rows.chain([total])))?;
    let mut status = 0;
    for problem in &found.problems {
        if problem.repaired {
            print(format!("repaired: {}\n", problem.error))?;
        } else {
            report(&problem.error);
            status = 1;
        }
    }
    Ok(status)
}
