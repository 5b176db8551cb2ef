//! Icebergs: what they show, and when they show more.

use brokerx_schemas::*;

use crate::script::{check_told, script};

#[test]
#[rustfmt::skip]
fn icebergs() {
    check_told(&Config::default(), &[
        ("shows a part, trades whole", "S 1 100 10 show=4; B 2 100 10", "2x1 100*4; 2x1 100*4; 2x1 100*2; =filled"),
        ("goes to the end when what it shows is used up", "S 1 100 10 show=4; S 3 100 3; B 2 100 8", "3x1 100*4; 3x2 100*3; 3x1 100*1; =filled"),
        ("keeps its place while it shows something", "S 1 100 10 show=4; S 3 100 3; B 2 100 3; B 2 100 2", "4x1 100*1; 4x2 100*1; =filled"),
        ("two take turns", "S 1 100 5 show=2; S 3 100 5 show=3; B 2 100 10", "3x1 100*2; 3x2 100*3; 3x1 100*2; 3x2 100*2; 3x1 100*1; =filled"),
        ("a new one comes before what it hides", "S 1 100 6 show=3; B 2 100 3; S 3 100 1; B 2 100 4", "4x1 100*3; 4x3 100*1; =filled"),
        ("what was hidden waits behind those who came meanwhile", "S 1 100 6 show=3; S 3 100 1; B 2 100 2; S 4 100 1; B 2 100 4", "5x1 100*1; 5x2 100*1; 5x4 100*1; 5x1 100*1; =filled"),
        ("fill or kill counts what is hidden", "S 1 100 10 show=1; B 2 100 10 FOK", "2x1 100*1; 2x1 100*1; 2x1 100*1; 2x1 100*1; 2x1 100*1; 2x1 100*1; 2x1 100*1; 2x1 100*1; 2x1 100*1; 2x1 100*1; =filled"),
        ("and one share more is too many", "S 1 100 10 show=1; B 2 100 11 FOK", "=rejected FOK_UNFILLABLE 11"),
        ("an own order comes before what another hides", "S 1 100 10 show=4; S 2 100 1; B 2 100 5 FOK", "=rejected FOK_UNFILLABLE 5"),
        ("as far as it shows there is enough", "S 1 100 10 show=4; S 2 100 1; B 2 100 4 FOK", "3x1 100*4; =filled"),
        ("an own order stops the sweep between the turns", "S 1 100 10 show=4; S 2 100 1; B 2 100 6", "3x1 100*4; =cancelled SELF_TRADE 2"),
        ("an own order that gives way lets it go on", "S 1 100 10 show=4; S 2 100 1; B 2 100 6 resting", "3x1 100*4; -2 SELF_TRADE 1; 3x1 100*2; =filled"),
        ("it takes with its whole size", "S 1 100 9; B 2 100 10 show=2", "2x1 100*9; =working 1"),
        ("less keeps the place", "S 1 100 10 show=4; S 3 100 3; R 1 1 100 6; B 2 100 9", "3x1 100*4; 3x2 100*3; 3x1 100*2; =filled"),
        ("less than it shows keeps the place", "S 1 100 10 show=4; S 3 100 3; R 1 1 100 2; B 2 100 5", "3x1 100*2; 3x2 100*3; =filled"),
        ("more goes to the end and shows anew", "S 1 100 10 show=4; S 3 100 3; B 2 100 2; R 1 1 100 11; B 2 100 7", "4x2 100*3; 4x1 100*4; =filled"),
        ("a cancel returns what is hidden", "S 1 100 10 show=4; B 2 100 5; X 1 1", "=cancelled CANCELLED_BY_CLIENT 5"),
        ("it may show everything", "S 1 100 4 show=4; S 3 100 1; B 2 100 5", "3x1 100*4; 3x2 100*1; =filled"),
        ("post-only as any other", "S 1 100 4; B 2 100 9 show=2 post", "=rejected POST_ONLY_WOULD_CROSS 9"),
    ]);
    let shown = |text: &str| -> Vec<(i64, i64, i32)> {
        let changes = script(text).changes;
        changes.iter().map(|level| (level.price_cents, level.quantity, level.order_count)).collect()
    };
    assert_eq!(shown("S 1 100 10 show=4"), [(100_00, 4, 1)], "others see what is shown");
    assert_eq!(shown("S 1 100 10 show=4; B 2 100 3"), [(100_00, 1, 1)]);
    assert_eq!(shown("S 1 100 10 show=4; B 2 100 5"), [(100_00, 3, 1)]);
    assert_eq!(shown("S 1 100 10 show=4; R 1 1 100 5"), [], "hidden shares are nobody's business");
}

#[test]
#[rustfmt::skip]
fn the_least_that_an_iceberg_shows() {
    check_told(&Config::default(), &[
        ("one that shows next to nothing", "S 1 100 10000 show=1", "=rejected DISPLAY_TOO_SMALL 10000"),
        ("a share less than a tenth", "S 1 100 10000 show=999", "=rejected DISPLAY_TOO_SMALL 10000"),
        ("a tenth", "S 1 100 10000 show=1000", "=working 10000"),
        ("rounded up", "S 1 100 11 show=1", "=rejected DISPLAY_TOO_SMALL 11"),
        ("to a share", "S 1 100 11 show=2", "=working 11"),
        ("fields that make no sense come first", "S 1 100 10000 show=0", "=rejected INVALID_ORDER 10000"),
        ("before the session", "close; S 1 100 10000 show=1", "=rejected DISPLAY_TOO_SMALL 10000"),
        ("a replace is no way around it", "S 1 100 10 show=1; R 1 1 100 11", "=rejected DISPLAY_TOO_SMALL 10"),
        ("what has traded counts as part of it", "S 1 100 10 show=1; B 2 100 5; R 1 1 100 11", "=rejected DISPLAY_TOO_SMALL 5"),
        ("less is no reason to show more", "S 1 100 10 show=1; R 1 1 101 9", "=replaced 9"),
    ]);
    let none = Config { display_percent_min: 0, ..Config::default() };
    check_told(&none, &[("without a bound", "S 1 100 10000 show=1", "=working 10000")]);
    let all = Config { display_percent_min: 100, ..Config::default() };
    check_told(&all, &[
        ("all of it", "S 1 100 10 show=10", "=working 10"),
        ("not a share less", "S 1 100 10 show=9", "=rejected DISPLAY_TOO_SMALL 10"),
    ]);
}
