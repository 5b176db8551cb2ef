//! The commands that every engine gets.

/// What a command does.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// A limit order that stays.
    Place,
    /// A limit order that takes what it can and goes.
    Take,
    /// A cancel.
    Cancel,
    /// Another price and quantity.
    Replace,
}

/// A command.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    pub action: Action,
    pub symbol: usize,
    /// Unique over all symbols, from 1.
    pub order_id: u64,
    pub account_id: u64,
    pub buys: bool,
    pub price: u64,
    pub quantity: u64,
}

/// The commands of one run.
pub struct Stream {
    pub symbols: usize,
    pub commands: Vec<Command>,
    /// As many of them fill the books before anything is measured.
    pub warm_up: usize,
    /// About as many orders rest after that.
    pub resting: usize,
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }
}

const MIDDLE: u64 = 100_000;

impl Stream {
    /// A mix that keeps the books at their size: what is placed is taken or cancelled.
    pub fn new(symbols: usize, count: usize) -> Self {
        let mut random = Random(88_172_645_463_325_252);
        // Cancels and replaces pick one of the latest orders; many of those are gone by then.
        let memory = 20_000.max(symbols * 20);
        let warm_up = memory * 4;
        let mut placed: Vec<Command> = Vec::new();
        let mut commands = Vec::with_capacity(count + warm_up);
        for order_id in 1..=(count + warm_up) as u64 {
            let mut command = Command {
                action: Action::Place,
                symbol: random.below(symbols as u64) as usize,
                order_id,
                account_id: 1 + random.below(1_000),
                buys: random.below(2) == 0,
                price: 0,
                quantity: 1 + random.below(100),
            };
            // Most orders come near the top; a book is 500 ticks deep on each side.
            let reach = 1 + random.below(500);
            let away = 1 + random.below(reach);
            let known = |random: &mut Random| {
                let back = random.below(placed.len().clamp(1, memory) as u64) as usize;
                placed.get(placed.len().saturating_sub(1 + back)).copied()
            };
            match random.below(100) {
                60..95 => {
                    if let Some(known) = known(&mut random) {
                        let action = match random.below(100) {
                            0..70 => Action::Cancel,
                            _ => Action::Replace,
                        };
                        command = Command {
                            action,
                            quantity: command.quantity,
                            ..known
                        };
                    }
                }
                95..100 => {
                    command.action = Action::Take;
                    command.quantity = 1 + random.below(800);
                    // An account of its own, so that no trade is prevented as a self-trade.
                    command.account_id = 1_001;
                }
                _ => {}
            }
            command.price = match (command.action, command.buys) {
                (Action::Take, true) => MIDDLE + 600,
                (Action::Take, false) => MIDDLE - 600,
                (_, true) => MIDDLE - away,
                (_, false) => MIDDLE + away,
            };
            if matches!(command.action, Action::Place) {
                placed.push(command);
            }
            commands.push(command);
        }
        Self {
            symbols,
            commands,
            warm_up,
            resting: memory / 2,
        }
    }
}
