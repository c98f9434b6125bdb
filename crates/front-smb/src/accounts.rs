//! The accounts of this server: who a user is to security descriptors, and what the pipes tell of users and groups.
//!
//! Users and their numbers are [`Users`]' matter, groups the operator's. Both may change while the server runs: users
//! at any time, groups by `Server::set_groups`. A token is made when somebody logs in and stays what it is as long as
//! the session does.
//!
//! Clients look names up many at a time, and there may be tens of thousands of users: what the pipes tell is made once
//! for each list of users, and found by name and number from then on.

use crate::config::{Group, ServerConfig, Users};
use crate::identity;
use crate::people::People;
use parking_lot::Mutex;
use smb_core::acceptor::Ticket;
use smb_core::access::Token;
use smb_core::names::folded_user;
use smb_wire::Sid;
use smb_wire::rpc::{self, Account, AccountFacts};
use std::collections::HashMap;
use std::sync::Arc;

/// A user of this server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownUser {
    pub name: String,
    /// As [`Users::number`] tells it.
    pub number: u32,
}

pub(crate) struct Accounts {
    /// `S-1-5-21-a-b-c`
    domain: Sid,
    users: Arc<dyn Users>,
    administrators: People,
    state: Mutex<State>,
}

struct State {
    groups: Arc<[Group]>,
    /// The number and the members of each.
    members: Arc<[(u32, People)]>,
    /// Made of these users and the present groups.
    told: Option<(Arc<[KnownUser]>, Arc<AccountFacts>)>,
}

impl State {
    fn of(groups: Vec<Group>) -> State {
        let members = groups.iter().map(|group| (group.number(), People::new(&group.members))).collect();
        State { groups: groups.into(), members, told: None }
    }
}

impl Accounts {
    pub(crate) fn new(config: &ServerConfig) -> Accounts {
        Accounts {
            domain: config.sid.clone().unwrap_or_else(|| identity::domain(config.server_guid)),
            users: Arc::clone(&config.users),
            administrators: config.administrators.clone(),
            state: Mutex::new(State::of(config.groups.clone())),
        }
    }

    /// Replaces the groups; in force for who logs in from now on.
    pub(crate) fn set_groups(&self, groups: Vec<Group>) {
        *self.state.lock() = State::of(groups);
    }

    /// Who a user is to security descriptors; `None` when there is no such user (any more), and no ticket either.
    pub(crate) fn token(&self, user: &str, ticket: Option<&Ticket>) -> Option<Token> {
        let token = identity::token(&self.domain, self.users.number(user), ticket)?;
        let principal = ticket.map(|ticket| ticket.principal.to_string());
        let groups = Arc::clone(&self.state.lock().members);
        let joined: Vec<u32> = groups
            .iter()
            .filter(|(_, members)| members.has(user, principal.as_deref(), &token))
            .map(|(number, _)| *number)
            .collect();
        let token = identity::in_groups(token, &self.domain, joined);
        Some(match self.administrators.has(user, principal.as_deref(), &token) {
            true => identity::administrator(token),
            false => token,
        })
    }

    /// Who guests are to security descriptors.
    pub(crate) fn guest(&self) -> Token {
        identity::guest(&self.domain)
    }

    /// What the pipes tell.
    pub(crate) fn facts(&self) -> Arc<AccountFacts> {
        let users = self.users.all();
        let groups = {
            let state = self.state.lock();
            match &state.told {
                Some((of, facts)) if Arc::ptr_eq(of, &users) => return Arc::clone(facts),
                _ => Arc::clone(&state.groups),
            }
        };
        let facts = Arc::new(facts(&self.domain, &users, &groups));
        let mut state = self.state.lock();
        if Arc::ptr_eq(&state.groups, &groups) {
            state.told = Some((users, Arc::clone(&facts)));
        }
        facts
    }
}

fn facts(domain: &Sid, users: &[KnownUser], groups: &[Group]) -> AccountFacts {
    let mut of: HashMap<String, Vec<u32>> = HashMap::new();
    for group in groups {
        for member in &group.members {
            of.entry(folded_user(member)).or_default().push(group.number());
        }
    }
    let user = |user: &KnownUser| Account {
        name: user.name.clone(),
        full_name: user.name.clone(),
        relative_id: user.number,
        groups: of.get(&folded_user(&user.name)).cloned().unwrap_or_default(),
    };
    let group = |group: &Group| Account {
        name: group.name.clone(),
        full_name: group.name.clone(),
        relative_id: group.number(),
        groups: Vec::new(),
    };
    AccountFacts {
        machine: Some(domain.clone()),
        users: rpc::Accounts::new(users.iter().map(user)),
        groups: rpc::Accounts::new(groups.iter().map(group)),
        ..AccountFacts::default()
    }
}
