//! Access control lists by librdkafka's own calls, which rdkafka (0.39) does not wrap.

use std::collections::HashSet;
use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use rdkafka::bindings::{
    rd_kafka_AclBinding_destroy, rd_kafka_AclBinding_host, rd_kafka_AclBinding_name, rd_kafka_AclBinding_new,
    rd_kafka_AclBinding_operation, rd_kafka_AclBinding_permission_type, rd_kafka_AclBinding_principal,
    rd_kafka_AclBinding_resource_pattern_type, rd_kafka_AclBinding_restype, rd_kafka_AclBinding_t,
    rd_kafka_AclBindingFilter_new, rd_kafka_AclOperation_t, rd_kafka_AclPermissionType_t,
    rd_kafka_AdminOptions_destroy, rd_kafka_AdminOptions_new, rd_kafka_AdminOptions_set_request_timeout,
    rd_kafka_AdminOptions_t, rd_kafka_CreateAcls, rd_kafka_CreateAcls_result_acls, rd_kafka_DeleteAcls,
    rd_kafka_DeleteAcls_result_response_error, rd_kafka_DeleteAcls_result_responses, rd_kafka_DescribeAcls,
    rd_kafka_DescribeAcls_result_acls, rd_kafka_ResourcePatternType_t, rd_kafka_ResourceType_t,
    rd_kafka_acl_result_error, rd_kafka_admin_op_t, rd_kafka_error_string, rd_kafka_error_t,
    rd_kafka_event_CreateAcls_result, rd_kafka_event_DeleteAcls_result, rd_kafka_event_DescribeAcls_result,
    rd_kafka_event_destroy, rd_kafka_event_error, rd_kafka_event_error_string, rd_kafka_event_t,
    rd_kafka_queue_destroy, rd_kafka_queue_new, rd_kafka_queue_poll, rd_kafka_queue_t, rd_kafka_resp_err_t, rd_kafka_t,
};
use rdkafka::client::{Client, DefaultClientContext};

use crate::catalogue::{Operation, Resource};

/// How long the brokers may take for one answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// How long librdkafka gets beyond that to say that the time is over.
const GRACE: Duration = Duration::from_secs(5);

type Admin = Client<DefaultClientContext>;

/// One entry of an access control list, as Kafka counts its kinds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Binding {
    resource: rd_kafka_ResourceType_t,
    name: CString,
    pattern: rd_kafka_ResourcePatternType_t,
    principal: CString,
    host: CString,
    operation: rd_kafka_AclOperation_t,
    permission: rd_kafka_AclPermissionType_t,
}

impl Binding {
    /// That a principal may do something from anywhere.
    pub(super) fn allow(principal: &str, resource: &Resource, operation: Operation) -> Self {
        let (kind, name, pattern) = match resource {
            Resource::Topic(name) => (
                rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC,
                name,
                rd_kafka_ResourcePatternType_t::RD_KAFKA_RESOURCE_PATTERN_LITERAL,
            ),
            Resource::Groups(prefix) => (
                rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_GROUP,
                prefix,
                rd_kafka_ResourcePatternType_t::RD_KAFKA_RESOURCE_PATTERN_PREFIXED,
            ),
        };
        let operation = match operation {
            Operation::Describe => rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_DESCRIBE,
            Operation::Read => rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_READ,
            Operation::Write => rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_WRITE,
            Operation::Create => rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_CREATE,
            Operation::All => rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_ALL,
        };
        Self {
            resource: kind,
            name: text(name),
            pattern,
            principal: text(principal),
            host: text("*"),
            operation,
            permission: rd_kafka_AclPermissionType_t::RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW,
        }
    }

    /// # Safety
    /// `native` is a binding of librdkafka's that is alive.
    unsafe fn read(native: *const rd_kafka_AclBinding_t) -> Self {
        // SAFETY: as the caller promises; the texts live as long as the binding and are copied.
        unsafe {
            Self {
                resource: rd_kafka_AclBinding_restype(native),
                name: copied(rd_kafka_AclBinding_name(native)),
                pattern: rd_kafka_AclBinding_resource_pattern_type(native),
                principal: copied(rd_kafka_AclBinding_principal(native)),
                host: copied(rd_kafka_AclBinding_host(native)),
                operation: rd_kafka_AclBinding_operation(native),
                permission: rd_kafka_AclBinding_permission_type(native),
            }
        }
    }
}

/// What a principal has, however it came by it.
///
/// # Errors
/// When the broker does not say.
pub(super) fn rights_of(client: &Admin, principal: &str) -> Result<HashSet<Binding>> {
    let principal = text(principal);
    let mut why = [0; 256];
    // SAFETY: the texts are terminated; librdkafka copies them. A null name or host means any.
    let filter = unsafe {
        rd_kafka_AclBindingFilter_new(
            rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_ANY,
            ptr::null(),
            rd_kafka_ResourcePatternType_t::RD_KAFKA_RESOURCE_PATTERN_ANY,
            principal.as_ptr(),
            ptr::null(),
            rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_ANY,
            rd_kafka_AclPermissionType_t::RD_KAFKA_ACL_PERMISSION_TYPE_ANY,
            why.as_mut_ptr(),
            why.len(),
        )
    };
    let filter = Native::new(filter, &why)?;
    let describe = rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBEACLS;
    let asked = Asked::new(client, describe, |client, options, queue| {
        // SAFETY: all four are alive; librdkafka copies the filter.
        unsafe { rd_kafka_DescribeAcls(client, filter.0, options, queue) };
    });
    let answer = asked.answer()?;
    let mut count = 0;
    // SAFETY: the event is the answer to this question; what it holds lives as long as it does.
    let found = unsafe {
        let answered = rd_kafka_event_DescribeAcls_result(answer.0);
        ensure!(!answered.is_null(), "another answer than was asked for");
        let list = rd_kafka_DescribeAcls_result_acls(answered, &mut count);
        (0..count).map(|index| Binding::read(*list.add(index))).collect()
    };
    Ok(found)
}

/// Grants.
///
/// # Errors
/// When the broker does not grant one of them; others may be granted.
pub(super) fn grant(client: &Admin, bindings: &[&Binding]) -> Result<()> {
    if bindings.is_empty() {
        return Ok(());
    }
    let natives = natives(bindings, rd_kafka_AclBinding_new)?;
    let mut list: Vec<_> = natives.iter().map(|native| native.0).collect();
    let create = rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_CREATEACLS;
    let asked = Asked::new(client, create, |client, options, queue| {
        // SAFETY: all are alive; librdkafka copies the bindings.
        unsafe { rd_kafka_CreateAcls(client, list.as_mut_ptr(), list.len(), options, queue) };
    });
    let answer = asked.answer()?;
    let mut count = 0;
    // SAFETY: as in `rights_of`.
    unsafe {
        let answered = rd_kafka_event_CreateAcls_result(answer.0);
        ensure!(!answered.is_null(), "another answer than was asked for");
        let list = rd_kafka_CreateAcls_result_acls(answered, &mut count);
        (0..count).try_for_each(|index| refusal(rd_kafka_acl_result_error(*list.add(index))))
    }
}

/// Takes rights back.
///
/// # Errors
/// As [`grant`].
pub(super) fn take_back(client: &Admin, bindings: &[&Binding]) -> Result<()> {
    if bindings.is_empty() {
        return Ok(());
    }
    let natives = natives(bindings, rd_kafka_AclBindingFilter_new)?;
    let mut list: Vec<_> = natives.iter().map(|native| native.0).collect();
    let delete = rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DELETEACLS;
    let asked = Asked::new(client, delete, |client, options, queue| {
        // SAFETY: all are alive; librdkafka copies the filters.
        unsafe { rd_kafka_DeleteAcls(client, list.as_mut_ptr(), list.len(), options, queue) };
    });
    let answer = asked.answer()?;
    let mut count = 0;
    // SAFETY: as in `rights_of`.
    unsafe {
        let answered = rd_kafka_event_DeleteAcls_result(answer.0);
        ensure!(!answered.is_null(), "another answer than was asked for");
        let list = rd_kafka_DeleteAcls_result_responses(answered, &mut count);
        (0..count).try_for_each(|index| refusal(rd_kafka_DeleteAcls_result_response_error(*list.add(index))))
    }
}

/// A binding, or a filter, of librdkafka's.
struct Native(*mut rd_kafka_AclBinding_t);

impl Native {
    fn new(made: *mut rd_kafka_AclBinding_t, why: &[c_char]) -> Result<Self> {
        if made.is_null() {
            // SAFETY: librdkafka terminates what it writes there, and the buffer began as zeros.
            bail!("{}", unsafe { CStr::from_ptr(why.as_ptr()) }.to_string_lossy());
        }
        Ok(Self(made))
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        // SAFETY: it is this value's own.
        unsafe { rd_kafka_AclBinding_destroy(self.0) };
    }
}

/// What makes a binding, or a filter that matches it alone.
type Maker = unsafe extern "C" fn(
    rd_kafka_ResourceType_t,
    *const c_char,
    rd_kafka_ResourcePatternType_t,
    *const c_char,
    *const c_char,
    rd_kafka_AclOperation_t,
    rd_kafka_AclPermissionType_t,
    *mut c_char,
    usize,
) -> *mut rd_kafka_AclBinding_t;

fn natives(bindings: &[&Binding], make: Maker) -> Result<Vec<Native>> {
    let native = |binding: &&Binding| {
        let mut why = [0; 256];
        // SAFETY: the texts are terminated, librdkafka copies them, and the buffer is as long as is said.
        let made = unsafe {
            make(
                binding.resource,
                binding.name.as_ptr(),
                binding.pattern,
                binding.principal.as_ptr(),
                binding.host.as_ptr(),
                binding.operation,
                binding.permission,
                why.as_mut_ptr(),
                why.len(),
            )
        };
        Native::new(made, &why)
    };
    bindings.iter().map(native).collect()
}

/// A question to the broker, and the queue on which its answer comes.
struct Asked {
    options: *mut rd_kafka_AdminOptions_t,
    queue: *mut rd_kafka_queue_t,
}

impl Asked {
    fn new(
        client: &Admin,
        operation: rd_kafka_admin_op_t,
        ask: impl FnOnce(*mut rd_kafka_t, *const rd_kafka_AdminOptions_t, *mut rd_kafka_queue_t),
    ) -> Self {
        let client = client.native_ptr();
        let limit_ms = i32::try_from(ANSWER_LIMIT.as_millis()).unwrap_or(i32::MAX);
        let mut why = [0; 256];
        // SAFETY: the client is alive; what is made here is this value's own. A limit that is refused leaves
        // librdkafka's own, a minute.
        let asked = unsafe {
            let options = rd_kafka_AdminOptions_new(client, operation);
            rd_kafka_AdminOptions_set_request_timeout(options, limit_ms, why.as_mut_ptr(), why.len());
            Self {
                options,
                queue: rd_kafka_queue_new(client),
            }
        };
        ask(client, asked.options, asked.queue);
        asked
    }

    fn answer(&self) -> Result<Answer> {
        let wait_ms = i32::try_from((ANSWER_LIMIT + GRACE).as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is alive.
        let event = unsafe { rd_kafka_queue_poll(self.queue, wait_ms) };
        ensure!(!event.is_null(), "no answer within {ANSWER_LIMIT:?}");
        let answer = Answer(event);
        // SAFETY: the event is alive, and its text as long as it.
        unsafe {
            if rd_kafka_event_error(event) != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                bail!("{}", copied(rd_kafka_event_error_string(event)).to_string_lossy());
            }
        }
        Ok(answer)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        // SAFETY: both are this value's own; an answer that comes later is dropped by librdkafka.
        unsafe {
            rd_kafka_queue_destroy(self.queue);
            rd_kafka_AdminOptions_destroy(self.options);
        }
    }
}

struct Answer(*mut rd_kafka_event_t);

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: it is this value's own.
        unsafe { rd_kafka_event_destroy(self.0) };
    }
}

/// # Safety
/// `error` is null, or an error of librdkafka's that is alive.
unsafe fn refusal(error: *const rd_kafka_error_t) -> Result<()> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: as the caller promises.
    bail!("{}", unsafe { copied(rd_kafka_error_string(error)) }.to_string_lossy());
}

/// # Safety
/// `text` is null, or terminated.
unsafe fn copied(text: *const c_char) -> CString {
    if text.is_null() {
        return CString::default();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text) }.to_owned()
}

/// Names of the catalogue have no zero byte, and what Kafka tells has none either.
fn text(name: &str) -> CString {
    CString::new(name.replace('\0', "")).unwrap_or_default()
}
