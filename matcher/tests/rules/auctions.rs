//! Halted and closed books that collect orders, and how they reopen.

use brokerx_schemas::*;

use crate::script::check_told;

#[test]
#[rustfmt::skip]
fn collected_books() {
    let config = Config { collect_while_halted: true, collect_while_closed: true, ..Config::default() };
    check_told(&config, &[
        ("a limit order is collected", "halt; B 1 100 5", "=working 5"),
        ("nothing trades", "halt; B 1 101 5; S 2 100 5", "=working 5"),
        ("a cancel works", "halt; B 1 101 5; S 2 100 5; X 1 1", "=cancelled CANCELLED_BY_CLIENT 5"),
        ("a market order waits for the auction", "halt; B 1 market 5", "=working 5"),
        ("IOC cannot wait", "halt; B 1 100 5 IOC", "=rejected HALTED 5"),
        ("FOK cannot wait", "close; B 1 100 5 FOK", "=rejected MARKET_CLOSED 5"),
        ("nor at the market", "close; B 1 market 5 FOK", "=rejected MARKET_CLOSED 5"),
        ("nor IOC at the market", "halt; B 1 market 5 IOC", "=rejected HALTED 5"),
        ("a market order that says DAY waits too", "halt; B 1 market 5 DAY", "=working 5"),
        ("post-only must not cross what is there", "halt; S 1 100 5; B 2 100 5 post", "=rejected POST_ONLY_WOULD_CROSS 5"),
        ("otherwise it is collected", "halt; S 1 101 5; B 2 100 5 post", "=working 5"),
        ("the band applies", "halt; B 1 106 5", "=rejected PRICE_BAND 5"),
        ("a replace changes a collected order", "halt; B 1 100 5; R 1 1 101 7", "=replaced 7"),
        ("also into a crossing price, without a trade", "halt; B 1 99 5; S 2 100 5; R 1 1 101 5", "=replaced 5"),
        ("even over an own order", "halt; B 1 99 5; S 1 100 5; R 1 1 101 5", "=replaced 5"),
        ("not a market order", "halt; B 1 market 5; R 1 1 none 4", "=rejected INVALID_ORDER 5"),
        ("a stop is held", "halt; B 1 market 5 stop=101", "=working 5"),
        ("DAY orders expire at the close", "B 1 100 5 DAY; B 1 99 5; close", "-1 SESSION_ENDED 5"),
        ("those of the next session stay", "close; B 1 100 5 DAY; open; S 2 100 5", "2x1 100*5; =filled"),
        ("a collected market order ends with the session", "halt; B 1 market 5; close", "-1 SESSION_ENDED 5"),
        ("a halt outlives the session", "halt; close; B 1 101 5; S 2 100 5; open", ""),
        ("the last thing that is lifted starts the auction", "halt; close; B 1 101 5; S 2 101 5; open; resume", "2x1 101*5"),
        ("delisting ends what was collected", "halt; B 1 101 5; S 2 100 5; delist", "-1 DELISTED 5; -2 DELISTED 5"),
    ]);
    check_told(&Config { collect_while_halted: true, ..Config::default() }, &[
        ("closed comes first", "halt; close; B 1 100 5", "=rejected MARKET_CLOSED 5"),
    ]);
    check_told(&Config { collect_while_closed: true, ..Config::default() }, &[
        ("halted refuses behind it", "halt; close; B 1 100 5", "=rejected HALTED 5"),
        ("collected when closed alone", "close; B 1 100 5", "=working 5"),
    ]);
}

#[test]
#[rustfmt::skip]
fn auctions() {
    let config = Config { collect_while_halted: true, collect_while_closed: true, ..Config::default() };
    check_told(&config, &[
        ("nothing to do", "halt; resume", ""),
        ("nothing crosses", "halt; B 1 99 5; S 2 101 5; resume", ""),
        ("one price, most shares", "halt; B 1 102 5; B 2 101 5; S 3 100 5; S 4 101 5; resume", "3x1 101*5; 4x2 101*5"),
        ("the price that trades most wins over the reference", "halt; B 1 103 10; S 2 102 6; S 3 103 4; resume", "2x1 103*6; 3x1 103*4"),
        ("the session's opening is an auction too", "close; B 1 101 5; S 2 101 5; open", "2x1 101*5"),
        // 100 to 102 trade 5 each with nothing over: 100 is the reference.
        ("a tie goes to the reference", "halt; B 1 102 5; S 2 99 5; resume", "2x1 100*5"),
        ("a reference below is as near as it gets", "halt; B 1 104 5; S 2 102 5; resume", "2x1 102*5"),
        ("a reference above as well", "halt; B 1 98 5; S 2 96 5; resume", "2x1 98*5"),
        // At 101 and 102 five trade; at 101 one is left over, at 102 none.
        ("a tie goes to the smaller imbalance first", "halt; B 1 102 5; B 3 101 1; S 2 101 5; resume", "3x1 101.01*5"),
        // At 99: 5 of 5 bids, 8 asks: 3 over. At 101: 5 of 8 bids: 3 over.
        ("equal imbalances go to the reference", "halt; B 1 102 5; B 1 99 3; S 2 99 5; S 2 102 3; resume", "3x1 100*5"),
        ("equal distances go to the lower price", "halt; B 1 101 1; B 5 99 9; S 2 99 1; S 6 101 9; resume", "3x1 100*1"),
        ("the last trade is the reference", "S 8 103 1; B 9 103 1; halt; B 1 105 5; S 2 100 5; resume", "4x3 103*5"),
        ("better prices first", "halt; B 1 101 5; B 2 102 5; S 3 101 7; resume", "3x2 101*5; 3x1 101*2"),
        ("then first come", "halt; B 1 101 5; B 2 101 5; S 3 101 7; resume", "3x1 101*5; 3x2 101*2"),
        ("who was there before is the maker", "S 1 101 5; halt; B 2 102 3; S 3 101 1; resume", "2x1 101*3"),
        ("what is left rests and trades on", "halt; B 1 102 9; S 2 100 5; resume; S 3 100 4", "3x1 102*4; =filled"),
        ("a market order trades at its collar at worst", "halt; B 1 market 5 collar=101; S 2 101 3; S 3 102 3; resume", "2x1 101*3; -1 NO_LIQUIDITY 2"),
        ("and ends after the auction", "halt; B 1 market 5; resume", "-1 NO_LIQUIDITY 5"),
        ("market orders meet each other", "halt; B 1 market 5; S 2 market 5; resume", "2x1 100*5"),
        ("an iceberg trades whole", "halt; B 1 101 9; S 2 101 9 show=4; resume", "2x1 101*4; 2x1 101*4; 2x1 101*1"),
        ("in turns with its queue", "halt; B 1 101 7; S 2 101 9 show=4; S 3 101 2; resume", "2x1 101*4; 3x1 101*2; 2x1 101*1"),
        ("what it hides counts for the price", "halt; B 1 102 9; S 2 100 2; S 3 102 9 show=1; resume", "2x1 102*2; 3x1 102*1; 3x1 102*1; 3x1 102*1; 3x1 102*1; 3x1 102*1; 3x1 102*1; 3x1 102*1"),
        ("the later of two own orders gives way", "halt; B 1 101 5; S 1 101 5; resume", "-2 SELF_TRADE 5"),
        ("or the earlier, as the later one says", "halt; B 1 101 5; S 1 101 5 resting; resume", "-1 SELF_TRADE 5"),
        ("or both", "halt; B 1 101 5; S 1 101 5 both; resume", "-1 SELF_TRADE 5; -2 SELF_TRADE 5"),
        ("others trade behind them", "halt; B 1 101 5; S 1 101 5; S 2 101 5; resume", "-2 SELF_TRADE 5; 3x1 101*5"),
        // The first round is at 102; when both 1s are gone, 3 and 4 still cross at 100.
        ("orders that gave way can make another round", "halt; B 1 102 9; B 3 100 2; S 1 99 1 resting; S 4 99 8; resume", "-1 SELF_TRADE 9; 3x2 100*1; 4x2 100*1"),
        ("a post-only order is the maker", "halt; S 1 103 5; B 2 101 5 post; R 1 1 101 5; resume", "1x2 101*5"),
        ("stops are triggered by the auction's price", "B 9 market 2 stop=101; halt; B 1 101 5; S 2 101 9; resume", "3x2 101*5; !1@101; 1x3 101*2"),
        ("stops that were held while it was halted too", "S 8 102 1; B 9 102 1; halt; B 3 market 1 stop=101; S 2 103 1; resume", "!3@102; 3x4 103*1"),
        ("behind the end of market orders", "B 9 market 2 stop=100; halt; B 1 market 5; S 2 100 3; resume", "3x2 100*3; -2 NO_LIQUIDITY 2; !1@100; -1 NO_LIQUIDITY 2"),
    ]);
}
