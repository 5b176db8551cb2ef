//! The calls of librdkafka that rdkafka does not wrap. All unsafe code of this crate is here, in
//! `service/native.rs` and in `apply/rights/native.rs`.

use std::ffi::{CStr, c_void};
use std::marker::PhantomData;
use std::ptr;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::bindings::{
    rd_kafka_commit_queue, rd_kafka_event_destroy, rd_kafka_event_error, rd_kafka_header_cnt, rd_kafka_header_get_all,
    rd_kafka_headers_t, rd_kafka_message_headers, rd_kafka_message_leader_epoch, rd_kafka_queue_destroy,
    rd_kafka_queue_new, rd_kafka_queue_poll, rd_kafka_resp_err_t,
};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{BorrowedMessage, Header, Headers};

/// The leader epoch of the batch that a consumed record came in; -1 when the broker does not say.
pub fn leader_epoch(message: &BorrowedMessage<'_>) -> i32 {
    // SAFETY: the message is alive for as long as its borrow.
    unsafe { rd_kafka_message_leader_epoch(message.ptr()) }
}

/// Commits offsets with the member's generation and waits for the broker's answer up to `limit`.
///
/// rdkafka's own synchronous commit waits without a limit while the broker is away, and the outcome
/// of its asynchronous one never reaches the application.
///
/// # Errors
/// What the broker said; `OperationTimedOut` of librdkafka when the limit passed: the commit may
/// still happen, and a later one overtakes it.
pub fn commit<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    offsets: &TopicPartitionList,
    limit: Duration,
) -> Result<(), RDKafkaErrorCode> {
    let client = consumer.client().native_ptr();
    let limit_ms = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: client and list are alive; librdkafka copies the list. The queue is this function's
    // own, the event is destroyed before it; an answer that comes later is dropped by librdkafka.
    let error = unsafe {
        let queue = rd_kafka_queue_new(client);
        let mut error = rd_kafka_commit_queue(client, offsets.ptr(), queue, None, ptr::null_mut());
        if error == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            let event = rd_kafka_queue_poll(queue, limit_ms);
            if event.is_null() {
                error = rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__TIMED_OUT;
            } else {
                error = rd_kafka_event_error(event);
                rd_kafka_event_destroy(event);
            }
        }
        rd_kafka_queue_destroy(queue);
        error
    };
    match error {
        rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        error => Err(error.into()),
    }
}

/// The headers of a consumed record.
///
/// Used instead of rdkafka's own view, which panics on a header name that is no UTF-8: a client
/// could stop a partition with it. Such a name reads as U+FFFD.
pub struct RecordHeaders<'a> {
    list: *const rd_kafka_headers_t,
    message: PhantomData<&'a ()>,
}

/// The headers of a record are no headers.
#[derive(Debug)]
pub struct BrokenHeaders;

impl<'a> RecordHeaders<'a> {
    /// The headers of a record; none when it has none.
    pub fn of(message: &'a BorrowedMessage<'_>) -> Result<Option<Self>, BrokenHeaders> {
        let mut list: *mut rd_kafka_headers_t = ptr::null_mut();
        // SAFETY: the message is alive; it owns the list, and the view does not outlive its borrow.
        match unsafe { rd_kafka_message_headers(message.ptr(), &mut list) } {
            rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(Some(Self {
                list,
                message: PhantomData,
            })),
            rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__NOENT => Ok(None),
            _ => Err(BrokenHeaders),
        }
    }
}

impl Headers for RecordHeaders<'_> {
    fn count(&self) -> usize {
        // SAFETY: the list is alive, see `of`.
        unsafe { rd_kafka_header_cnt(self.list) }
    }

    fn try_get(&self, index: usize) -> Option<Header<'_, &[u8]>> {
        let mut name = ptr::null();
        let mut value: *const c_void = ptr::null();
        let mut size = 0;
        // SAFETY: the list is alive; the results are written when there is such a header.
        let error = unsafe { rd_kafka_header_get_all(self.list, index, &mut name, &mut value, &mut size) };
        if error != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        // SAFETY: librdkafka terminates names; name and value live as long as the list.
        let (name, value) = unsafe {
            let value = (!value.is_null()).then(|| std::slice::from_raw_parts(value.cast::<u8>(), size));
            (CStr::from_ptr(name), value)
        };
        Some(Header {
            key: name.to_str().unwrap_or("\u{fffd}"),
            value,
        })
    }
}
