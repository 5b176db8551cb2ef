//! The enums that several topics share.

use crate::vocabulary;

vocabulary! {
    /// The direction of an order.
    Side {
        /// The client pays cash and receives shares.
        Buy,
        /// The client delivers shares and receives cash.
        Sell,
    }
}
impl Side {
    /// The other side of the book.
    pub fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
            Self::Unknown => Self::Unknown,
        }
    }
}
vocabulary! {
    /// What price an order asks for.
    OrderType {
        /// At the limit price or better.
        Limit,
        /// At the best price there is, never beyond its collar.
        Market,
        /// A market order once the last trade reaches the stop price.
        Stop,
        /// A limit order once the last trade reaches the stop price.
        StopLimit,
    }
}
vocabulary! {
    /// How long an order stays.
    TimeInForce {
        /// Until the end of the session.
        Day,
        /// Until filled or cancelled ("good till cancelled").
        Gtc,
        /// What cannot trade at once is cancelled ("immediate or cancel").
        Ioc,
        /// All at once or nothing ("fill or kill").
        Fok,
    }
}
vocabulary! {
    /// What gives way when an order would trade with another of the same account.
    SelfTradePrevention {
        /// The incoming order is cancelled.
        CancelIncoming,
        /// The resting order is cancelled.
        CancelResting,
        /// Both are cancelled.
        CancelBoth,
    }
}
vocabulary! {
    /// Which side of a trade an execution was on; it decides the fee.
    Liquidity {
        /// The order rested in the book.
        Maker,
        /// The order arrived and crossed the book.
        Taker,
    }
}
vocabulary! {
    /// Where an order stands. `Filled`, `Cancelled`, `Rejected` and `Expired` are terminal and never change.
    OrderStatus {
        /// Sent, not yet decided by settlement. Seen only while a client waits.
        Pending,
        /// Settlement has reserved for it and forwarded it to the book.
        Accepted,
        /// In the book, nothing traded.
        Working,
        /// In the book, partly traded.
        PartiallyFilled,
        /// Traded in full.
        Filled,
        /// Ended by the client, or by the rules (see its reason); part of it may have traded.
        Cancelled,
        /// Refused; nothing traded.
        Rejected,
        /// Ended with its session.
        Expired,
    }
}
impl OrderStatus {
    /// Whether the order has ended for good.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Filled | Self::Cancelled | Self::Rejected | Self::Expired)
    }
}
vocabulary! {
    /// How the book answered a command.
    BookStatus {
        /// A new order rests in the book (in part traded or not), or a stop waits for its trigger.
        Working,
        /// Traded in full.
        Filled,
        /// Removed from the book, by the command or at once by the rules (see the reason).
        Cancelled,
        /// Refused by the book; nothing changed.
        Rejected,
        /// The new terms stand.
        Replaced,
    }
}
vocabulary! {
    /// Whether an account may trade.
    AccountState {
        /// Registered, not verified.
        Pending,
        /// May trade.
        Active,
        /// Suspended by an operator.
        Suspended,
        /// Never verified in time.
        Rejected,
    }
}
vocabulary! {
    /// Whether an instrument trades.
    InstrumentStatus {
        /// Trading continuously.
        Open,
        /// Halted by an operator or by the rules.
        Halted,
        /// Outside its session.
        Closed,
        /// Gone for good.
        Delisted,
        /// A broken invariant stopped its book.
        Frozen,
    }
}
vocabulary! {
    /// The time that a candle covers.
    CandleInterval {
        /// One second.
        Second,
        /// One minute.
        Minute,
        /// Five minutes.
        FiveMinutes,
        /// One hour.
        Hour,
        /// One day, from 00:00 UTC.
        Day,
    }
}
impl CandleInterval {
    /// Its length in seconds; 0 for an interval that this build does not know.
    pub fn seconds(self) -> i64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::FiveMinutes => 300,
            Self::Hour => 3_600,
            Self::Day => 86_400,
            Self::Unknown => 0,
        }
    }
}
vocabulary! {
    /// The direction of a share transfer between the account and another custodian.
    TransferDirection {
        /// Shares arrive in the account.
        In,
        /// Shares leave the account.
        Out,
    }
}
vocabulary! {
    /// Whether money comes in or goes out through the payment provider.
    PaymentDirection {
        /// A deposit.
        Deposit,
        /// A withdrawal.
        Withdrawal,
    }
}
vocabulary! {
    /// Where a deposit or withdrawal stands; `Settled` and `Failed` are terminal.
    PaymentStatus {
        /// The provider has given no final answer yet.
        Pending,
        /// The money moved.
        Settled,
        /// The provider refused it for good; no money moved.
        Failed,
    }
}
vocabulary! {
    /// Why something was refused or ended, in the order in which a command meets the checks.
    /// The client sees these names as the `code` of an error or the `reason` of an order.
    Reason {
        /// The command's turn came after its deadline, so it did nothing.
        ExpiredRequest,
        /// The idempotency key was used before with other content.
        IdempotencyMismatch,
        /// Too many idempotency keys are remembered; none is forgotten early.
        TooManyRequests,
        /// No such order or account, or somebody else's.
        NotFound,
        /// The order's version is not the one that the client knows.
        VersionConflict,
        /// The order is filled or ended.
        OrderClosed,
        /// A replace of this order is still in flight.
        ChangePending,
        /// The account is not active, or its kill switch is on.
        AccountNotActive,
        /// The account or instrument is frozen by a broken invariant.
        Frozen,
        /// Quantity outside the rules.
        InvalidQuantity,
        /// Price missing, off the tick, or outside the range.
        InvalidPrice,
        /// Amount outside the limits.
        InvalidAmount,
        /// A currency that is not served.
        InvalidCurrency,
        /// A combination of fields that makes no sense, or one that is not served.
        InvalidOrder,
        /// Size, notional or number of open orders beyond the account's limits.
        OrderLimit,
        /// Not enough available cash.
        InsufficientFunds,
        /// Not enough available shares; there is no short selling.
        InsufficientShares,
        /// No such instrument, or it is delisted.
        UnknownSymbol,
        /// The instrument is listed already, with other content.
        AlreadyListed,
        /// Outside the session.
        MarketClosed,
        /// The instrument is halted.
        Halted,
        /// The price is too far from the last trade.
        PriceBand,
        /// A post-only order would have traded.
        PostOnlyWouldCross,
        /// A fill-or-kill order could not be filled whole.
        FokUnfillable,
        /// It would have traded with an order of the same account.
        SelfTrade,
        /// An immediate order found nothing to trade with (any more).
        NoLiquidity,
        /// The client cancelled it.
        CancelledByClient,
        /// Cancelled with all the others of its account or symbol.
        CancelledAll,
        /// The session ended.
        SessionEnded,
        /// The instrument was delisted.
        Delisted,
        /// The payment provider refused.
        RefusedByProvider,
        /// The account has made all the deposits, or withdrawals, that it may make on one UTC day.
        PaymentLimit,
        /// The account cannot be thawed: something of it is not as it must be, or an order is still open.
        AccountUnsound,
        // Later ones stand at the end, as the schemas want it, whichever check they belong to.
        /// A new total that is less than what has traded.
        QuantityBelowFilled,
        /// An iceberg that would show less of its quantity than the configured share.
        DisplayTooSmall,
    }
}
