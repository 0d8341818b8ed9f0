//! docs/quota-simulation.md shows the numbers that the code computes with.

use std::path::Path;

use indicia_simulate::table;

#[test]
fn the_page_shows_the_worlds_numbers() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/quota-simulation.md");
    let page = std::fs::read_to_string(page).expect("the page");
    for line in table::constants().lines() {
        assert!(
            page.contains(line),
            "missing or changed: {line}\nPut in what `indicia simulate --constants` prints."
        );
    }
}
