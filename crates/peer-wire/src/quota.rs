//! Quotas of users, as bytes: whose are asked for, what they are, and how they change. Each is a body.

use crate::WireError;
use crate::attr::{get_time, put_time};
use crate::cursor::{Reader, Writer};
use bytes::Bytes;
use volume::{QUOTA_USERS_MAX, QuotaChange, QuotaFlags, QuotaRules, QuotasOf, UserQuota};

const ALL: u8 = 0;
const USERS: u8 = 1;

const RULES: u8 = 0;
const LIMITS: u8 = 1;

/// Least bytes that a user in a list takes: the length of the SID.
const USER_LEAST_BYTES: usize = 1;
/// And a quota: that, the time, and three numbers.
const QUOTA_LEAST_BYTES: usize = USER_LEAST_BYTES + 8 + 3;

pub(crate) fn encode_of(of: &QuotasOf) -> Bytes {
    let mut out = Writer::with_capacity(128);
    match of {
        QuotasOf::All { after } => {
            out.byte(ALL);
            out.option(after.as_deref(), Writer::blob);
        }
        QuotasOf::Users(users) => {
            out.byte(USERS);
            out.number(users.len() as u64);
            users.iter().for_each(|user| out.blob(user));
        }
    }
    out.finish()
}

pub(crate) fn decode_of(body: &[u8]) -> Result<QuotasOf, WireError> {
    let mut input = Reader::new(body);
    let of = match input.byte()? {
        ALL => QuotasOf::All { after: input.option(get_user)? },
        USERS => {
            let count = get_count(&mut input, USER_LEAST_BYTES)?;
            QuotasOf::Users((0..count).map(|_| get_user(&mut input)).collect::<Result<_, _>>()?)
        }
        _ => return Err(WireError::Value("whose quotas")),
    };
    input.end()?;
    Ok(of)
}

pub(crate) fn encode_quotas(quotas: &[UserQuota]) -> Bytes {
    let mut out = Writer::with_capacity(16 + quotas.len() * 64);
    put_quotas(&mut out, quotas);
    out.finish()
}

pub(crate) fn decode_quotas(body: &[u8]) -> Result<Vec<UserQuota>, WireError> {
    let mut input = Reader::new(body);
    let quotas = get_quotas(&mut input)?;
    input.end()?;
    Ok(quotas)
}

pub(crate) fn encode_change(change: &QuotaChange) -> Bytes {
    let mut out = Writer::with_capacity(128);
    match change {
        QuotaChange::Rules(rules) => {
            out.byte(RULES);
            put_rules(&mut out, rules);
        }
        QuotaChange::Users(quotas) => {
            out.byte(LIMITS);
            put_quotas(&mut out, quotas);
        }
    }
    out.finish()
}

pub(crate) fn decode_change(body: &[u8]) -> Result<QuotaChange, WireError> {
    let mut input = Reader::new(body);
    let change = match input.byte()? {
        RULES => QuotaChange::Rules(get_rules(&mut input)?),
        LIMITS => QuotaChange::Users(get_quotas(&mut input)?),
        _ => return Err(WireError::Value("a change of quotas")),
    };
    input.end()?;
    Ok(change)
}

pub(crate) fn put_rules(out: &mut Writer, rules: &QuotaRules) {
    out.number(u64::from(rules.flags.bits()));
    out.fixed64(rules.threshold);
    out.fixed64(rules.limit);
}

pub(crate) fn get_rules(input: &mut Reader<'_>) -> Result<QuotaRules, WireError> {
    let flags = QuotaFlags::from_bits(input.number32()?).ok_or(WireError::Value("flags of quotas"))?;
    Ok(QuotaRules { flags, threshold: input.fixed64()?, limit: input.fixed64()? })
}

fn put_quotas(out: &mut Writer, quotas: &[UserQuota]) {
    out.number(quotas.len() as u64);
    for quota in quotas {
        out.blob(&quota.user);
        put_time(out, quota.changed);
        for value in [quota.used, quota.threshold, quota.limit] {
            out.number(value);
        }
    }
}

fn get_quotas(input: &mut Reader<'_>) -> Result<Vec<UserQuota>, WireError> {
    let count = get_count(input, QUOTA_LEAST_BYTES)?;
    let mut quotas = Vec::with_capacity(count);
    for _ in 0..count {
        quotas.push(UserQuota {
            user: get_user(input)?,
            changed: get_time(input)?,
            used: input.number()?,
            threshold: input.number()?,
            limit: input.number()?,
        });
    }
    Ok(quotas)
}

fn get_count(input: &mut Reader<'_>, least_bytes: usize) -> Result<usize, WireError> {
    match input.count(least_bytes)? {
        count if count <= QUOTA_USERS_MAX => Ok(count),
        _ => Err(WireError::Value("a number of users")),
    }
}

fn get_user(input: &mut Reader<'_>) -> Result<Bytes, WireError> {
    Ok(Bytes::copy_from_slice(input.blob()?))
}
