//! Stops and stop-limits: triggers, cascades, changes.

use brokerx_schemas::*;

use crate::script::check_told;

#[test]
#[rustfmt::skip]
fn stops() {
    check_told(&Config::default(), &[
        ("a stop waits for its price", "B 1 market 5 stop=102", "=working 5"),
        ("before the first trade nothing triggers", "B 1 market 5 stop=100", "=working 5"),
        ("a buy is triggered by a trade at its price", "B 1 market 5 stop=102; S 2 102 9; B 3 102 4", "3x2 102*4; =filled; !1@102; 1x2 102*5"),
        ("or above it", "B 1 market 5 stop=101; S 2 102 9; B 3 102 4", "3x2 102*4; =filled; !1@102; 1x2 102*5"),
        ("not below it", "B 1 market 5 stop=103; S 2 102 9; B 3 102 4", "3x2 102*4; =filled"),
        ("a sell is triggered by a trade at its price", "S 1 market 5 stop=98; B 2 98 9; S 3 98 4", "3x2 98*4; =filled; !1@98; 1x2 98*5"),
        ("or below it", "S 1 market 5 stop=99; B 2 98 9; S 3 98 4", "3x2 98*4; =filled; !1@98; 1x2 98*5"),
        ("a quote is no trade", "B 1 market 5 stop=102; B 2 103 1", "=working 1"),
        ("a price that was traded already triggers at once", "S 2 102 9; B 3 102 4; B 1 market 5 stop=101", "=working 5; !3@102; 3x1 102*5"),
        ("what a stop cannot trade ends", "B 1 market 5 stop=102; S 2 102 6; B 3 102 4", "3x2 102*4; =filled; !1@102; 1x2 102*2; -1 NO_LIQUIDITY 3"),
        ("a stop that finds nothing ends", "B 1 market 5 stop=102; S 2 102 4; B 3 102 4", "3x2 102*4; =filled; !1@102; -1 NO_LIQUIDITY 5"),
        ("a stop never trades beyond its collar", "B 1 market 5 stop=102 collar=103; S 2 102 4; S 2 104 9; B 3 102 4", "4x2 102*4; =filled; !1@102; -1 NO_LIQUIDITY 5"),
        ("nor beyond the band around the trade", "B 1 market 5 stop=96 collar=120; S 2 105 9; B 4 96 1; S 5 96 1", "4x3 96*1; =filled; !1@96; -1 NO_LIQUIDITY 5"),
        ("all or nothing counts at the trigger", "B 1 market 5 stop=102 FOK; S 2 102 6; B 3 102 4", "3x2 102*4; =filled; !1@102; -1 FOK_UNFILLABLE 5"),
        ("a stop-limit becomes a limit order", "B 1 102 5 stop=102; S 2 102 6; B 3 102 4", "3x2 102*4; =filled; !1@102; 1x2 102*2"),
        ("which rests what is left", "B 1 102 5 stop=102; S 2 102 6; B 3 102 4; S 4 102 3", "4x1 102*3; =filled"),
        ("its limit may be worse than the market", "B 1 101 5 stop=102; S 2 102 6; B 3 102 4; S 4 101 5", "4x1 101*5; =filled"),
        ("the band applies when it is triggered", "B 1 110 5 stop=102; S 2 102 6; B 3 102 4", "3x2 102*4; =filled; !1@102; -1 PRICE_BAND 5"),
        ("a limit that the market has come to is good", "B 1 107 5 stop=102; S 2 102 6; B 3 102 4", "3x2 102*4; =filled; !1@102; 1x2 102*2"),
        ("an immediate stop-limit never rests", "B 1 102 5 stop=102 IOC; S 2 102 6; B 3 102 4", "3x2 102*4; =filled; !1@102; 1x2 102*2; -1 NO_LIQUIDITY 3"),
        ("a stop is stopped by an own order", "B 1 market 5 stop=102; S 2 102 4; S 1 102 5; B 3 102 4", "4x2 102*4; =filled; !1@102; -1 SELF_TRADE 5"),
        ("or takes it away", "B 1 market 5 stop=102 resting; S 2 102 4; S 1 102 5; B 3 102 4", "4x2 102*4; =filled; !1@102; -3 SELF_TRADE 5; -1 NO_LIQUIDITY 5"),
        ("the sweep is done before a stop enters", "B 1 market 1 stop=101; S 2 101 2; S 2 102 2; B 3 102 3", "4x2 101*2; 4x3 102*1; =filled; !1@101; 1x3 102*1"),
        ("the first placed enters first", "B 1 market 1 stop=102; B 4 market 1 stop=101; S 2 102 9; B 3 102 1", "4x3 102*1; =filled; !1@102; 1x3 102*1; !2@102; 2x3 102*1"),
        ("also of both sides", "S 1 market 1 stop=103; B 4 market 1 stop=101; B 5 99 3; S 2 102 9; B 3 102 1", "5x4 102*1; =filled; !1@102; 1x3 99*1; !2@102; 2x4 102*1"),
        ("one triggers the next", "B 1 market 3 stop=101; B 4 market 1 stop=102; S 2 101 2; S 2 102 2; B 3 101 1", "5x3 101*1; =filled; !1@101; 1x3 101*1; 1x4 102*2; !2@102; -2 NO_LIQUIDITY 1"),
        ("what is triggered later waits behind", "B 1 market 2 stop=101; B 4 market 1 stop=102; B 5 market 1 stop=101; S 2 101 1; S 2 102 1; S 2 103 9; B 3 101 1",
            "7x4 101*1; =filled; !1@101; 1x5 102*1; 1x6 103*1; !3@101; 3x6 103*1; !2@102; 2x6 103*1"),
        ("a long cascade downwards", "S 1 market 1 stop=99; S 1 market 1 stop=98; S 1 market 1 stop=97; B 2 99 1; B 2 98 1; B 2 97 1; B 2 96 1; S 3 99 1",
            "8x4 99*1; =filled; !1@99; 1x5 98*1; !2@98; 2x6 97*1; !3@97; 3x7 96*1"),
        ("a cancel takes a stop out", "B 1 market 5 stop=102; X 1 1", "=cancelled CANCELLED_BY_CLIENT 5"),
        ("only its owner's", "B 1 market 5 stop=102; X 2 1", "=rejected NOT_FOUND 0"),
        ("a cancelled stop is not triggered", "B 1 market 5 stop=102; X 1 1; S 2 102 9; B 3 102 1", "3x2 102*1; =filled"),
        ("a replace gives it another size", "B 1 market 5 stop=102; R 1 1 none 3", "=replaced 3"),
        ("not a limit that it does not have", "B 1 market 5 stop=102; R 1 1 103 3", "=rejected INVALID_ORDER 5"),
        ("a stop-limit gets another limit", "B 1 101 5 stop=102; R 1 1 102 5; S 2 102 9; B 3 102 1", "3x2 102*1; =filled; !1@102; 1x2 102*5"),
        ("less keeps its place among the stops", "B 1 market 2 stop=102; B 4 market 1 stop=102; R 1 1 none 1; S 2 102 9; B 3 102 1", "4x3 102*1; =filled; !1@102; 1x3 102*1; !2@102; 2x3 102*1"),
        ("more goes to the end", "B 1 market 2 stop=102; B 4 market 1 stop=102; R 1 1 none 3; S 2 102 9; B 3 102 1", "4x3 102*1; =filled; !2@102; 2x3 102*1; !1@102; 1x3 102*3"),
        ("a DAY stop expires", "B 1 market 2 stop=102 DAY; B 1 market 2 stop=102; close", "-1 SESSION_ENDED 2"),
        ("a delisting ends stops", "B 1 market 2 stop=102; B 2 100 1; B 1 101 2 stop=102; delist", "-1 DELISTED 2; -2 DELISTED 1; -3 DELISTED 2"),
        ("a stop needs a stop price", "B 1 100 2 stop=0", "=rejected INVALID_PRICE 2"),
        ("post-only is for limit orders", "B 1 100 2 stop=102 post", "=rejected INVALID_ORDER 2"),
        ("icebergs are limit orders", "B 1 100 2 stop=102 show=1", "=rejected INVALID_ORDER 2"),
        ("refused while halted", "halt; B 1 market 2 stop=102", "=rejected HALTED 2"),
        ("its id is taken", "B 1 market 2 stop=102; B 1 100 1 twice", "=rejected INVALID_ORDER 1"),
    ]);
}
