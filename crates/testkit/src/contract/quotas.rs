//! Quotas of users. Whether anybody is held to them is the volume's own test.

use crate::ease::{apply, cx, fails, p, remove};
use bytes::Bytes;
use volume::{
    Change, Close, Create, ErrorKind, Named, OpenHow, QUOTA_USER_MAX_BYTES, QUOTA_USERS_MAX, QuotaChange,
    QuotaFlags, QuotaRules, QuotasOf, SetAttr, Time, UserQuota, Volume,
};

const UNLIMITED: u64 = UserQuota::UNLIMITED;

/// A SID: S-1-5-21-1-2-3-RID.
fn user(rid: u32) -> Bytes {
    let mut sid = vec![1, 5, 0, 0, 0, 0, 0, 5];
    for part in [21, 1, 2, 3, rid] {
        sid.extend(u32::to_le_bytes(part));
    }
    sid.into()
}

/// A self-relative descriptor that names an owner and nothing else (MS-DTYP 2.4.6).
fn owned_by(user: &Bytes) -> Bytes {
    let mut descriptor = vec![1, 0, 0, 0x80, 20, 0, 0, 0];
    descriptor.extend([0; 12]);
    descriptor.extend_from_slice(user);
    descriptor.into()
}

fn limits(user: &Bytes, threshold: u64, limit: u64) -> UserQuota {
    UserQuota { user: user.clone(), changed: Time(0), used: 0, threshold, limit }
}

async fn ask(volume: &dyn Volume, users: &[&Bytes]) -> Vec<UserQuota> {
    let of = QuotasOf::Users(users.iter().copied().cloned().collect());
    volume.quotas(&cx(), &of).await.unwrap()
}

async fn set(volume: &dyn Volume, users: Vec<UserQuota>) {
    volume.set_quotas(&cx(), &QuotaChange::Users(users)).await.unwrap();
}

async fn own(volume: &dyn Volume, path: &str, user: &Bytes) {
    let value = Some(owned_by(user));
    apply(volume, Change::SetNamed { path: p(path), name: Named::Descriptor, value, expect: None }).await;
}

/// Whether the volume keeps any; one that does not must say so.
async fn keeps(volume: &dyn Volume) -> bool {
    if !volume.caps().quotas {
        fails(volume.quota_rules(&cx()).await, ErrorKind::Unsupported);
        fails(volume.quotas(&cx(), &QuotasOf::All { after: None }).await, ErrorKind::Unsupported);
        let change = QuotaChange::Users(vec![limits(&user(1), 1, 1)]);
        fails(volume.set_quotas(&cx(), &change).await, ErrorKind::Unsupported);
    }
    volume.caps().quotas
}

pub(super) async fn quotas_of_users_are_kept(volume: &dyn Volume) {
    if !keeps(volume).await {
        return;
    }
    let (alice, bob, nobody) = (user(1001), user(1002), user(1003));
    set(volume, vec![limits(&bob, 5, 7), limits(&alice, 10, 20)]).await;
    let told = ask(volume, &[&nobody, &bob, &alice]).await;
    assert_eq!(told[0], UserQuota { changed: Time(0), used: 0, ..limits(&nobody, 0, 0) });
    assert_eq!((told[1].threshold, told[1].limit, &told[1].user), (5, 7, &bob));
    assert_eq!((told[2].threshold, told[2].limit, &told[2].user), (10, 20, &alice));
    assert!(told[1].changed > Time(0));
    let users = |told: Vec<UserQuota>| told.into_iter().map(|told| told.user).collect::<Vec<_>>();
    let all = |after| async move { users(volume.quotas(&cx(), &QuotasOf::All { after }).await.unwrap()) };
    assert_eq!(all(None).await, [alice.clone(), bob.clone()]);
    assert_eq!(all(Some(alice.clone())).await, std::slice::from_ref(&bob));
    assert!(all(Some(bob.clone())).await.is_empty());
    set(volume, vec![limits(&alice, 0, UserQuota::FORGET)]).await;
    assert_eq!(all(None).await, [bob]);

    let flags = QuotaFlags::ENFORCE | QuotaFlags::REBUILDING;
    let rules = QuotaRules { flags, threshold: 100, limit: 200 };
    volume.set_quotas(&cx(), &QuotaChange::Rules(rules)).await.unwrap();
    let told = volume.quota_rules(&cx()).await.unwrap();
    assert_eq!((told.threshold, told.limit), (100, 200));
    let kept = told.flags - (QuotaFlags::INCOMPLETE | QuotaFlags::REBUILDING);
    assert_eq!(kept, QuotaFlags::TRACK | QuotaFlags::ENFORCE);
    let rules = QuotaRules { flags: QuotaFlags::TRACK, threshold: UNLIMITED, limit: UNLIMITED };
    volume.set_quotas(&cx(), &QuotaChange::Rules(rules)).await.unwrap();
}

pub(super) async fn quotas_count_what_owners_have(volume: &dyn Volume) {
    if !keeps(volume).await {
        return;
    }
    let (alice, bob) = (user(1001), user(1002));
    let used = || async {
        let told = ask(volume, &[&alice, &bob]).await;
        (told[0].used, told[1].used)
    };
    let file = volume.open(&cx(), &p("f"), OpenHow::create(Create::New)).await.unwrap().file;
    file.write_at(&cx(), 0, "0123456789".into()).await.unwrap();
    assert_eq!(used().await, (0, 0));
    own(volume, "f", &alice).await;
    assert_eq!(used().await, (10, 0));
    file.write_at(&cx(), 5, "0123456789".into()).await.unwrap();
    assert_eq!(used().await, (15, 0));
    own(volume, "f", &bob).await;
    assert_eq!(used().await, (0, 15));
    file.set_attr(&cx(), &SetAttr { size: Some(4), ..SetAttr::default() }).await.unwrap();
    assert_eq!(used().await, (0, 4));
    file.close(&cx(), Close::Commit).await.unwrap();
    drop(file);
    remove(volume, "f").await;
    assert_eq!(used().await, (0, 0));
}

pub(super) async fn quotas_that_cannot_be(volume: &dyn Volume) {
    if !keeps(volume).await {
        return;
    }
    for user in [Bytes::new(), Bytes::from(vec![1; QUOTA_USER_MAX_BYTES + 1])] {
        let of = QuotasOf::Users(vec![user.clone()]);
        fails(volume.quotas(&cx(), &of).await, ErrorKind::InvalidArgument);
        let change = QuotaChange::Users(vec![limits(&self::user(1001), 1, 1), limits(&user, 1, 1)]);
        fails(volume.set_quotas(&cx(), &change).await, ErrorKind::InvalidArgument);
    }
    let many: Vec<Bytes> = (0..=QUOTA_USERS_MAX as u32).map(user).collect();
    fails(volume.quotas(&cx(), &QuotasOf::Users(many.clone())).await, ErrorKind::InvalidArgument);
    let change = QuotaChange::Users(many.iter().map(|user| limits(user, 1, 1)).collect());
    fails(volume.set_quotas(&cx(), &change).await, ErrorKind::InvalidArgument);
    assert!(volume.quotas(&cx(), &QuotasOf::All { after: None }).await.unwrap().is_empty());
}
