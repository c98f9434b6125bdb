//! Quotas of users, over a volume that keeps some.

use crate::site::{ALICE, BOB, Site, User};
use front_smb::People;
use smb_raw::requests;
use smb_wire::create::{CreateContext, CreateRequest};
use smb_wire::fscc::file_system::{ControlInformation, FileSystemClass};
use smb_wire::fscc::quota::{
    QUOTA_UNLIMITED, QuotaInformation, QuotaQuery, QuotaSelection, decode_quota_list, encode_quota_list,
};
use smb_wire::query_info::{
    InfoType, QueryInfoFlags, QueryInfoRequest, QueryInfoResponse, SecurityInformation,
};
use smb_wire::security_descriptor::SecurityDescriptor;
use smb_wire::{AccessMask, FileId, FileTime, NtStatus, Request, Sid};
use testkit::{FaultVolume, MemConfig, MemVolume, Op};
use volume::ErrorKind;

const QUOTA_FILE: &str = "$Extend\\$Quota:$Q:$INDEX_ALLOCATION";
const OK: NtStatus = NtStatus::SUCCESS;
/// Length of an entry about a user of the server's domain, bytes.
const ENTRY_BYTES: u32 = 68;

/// A server whose volume keeps quotas; Bob is its administrator.
async fn site() -> Site {
    let volume = MemVolume::with(MemConfig::default().and_quotas());
    let vfs = vfs::Vfs::new(volume, vfs::VfsConfig::default());
    Site::over(vfs, |config| config.administrators = People::new(["bob"])).await
}

fn everybody(restart_scan: bool) -> QuotaQuery {
    QuotaQuery { return_single: false, restart_scan, whose: QuotaSelection::All }
}

fn of(sids: &[&Sid]) -> QuotaQuery {
    QuotaQuery { whose: QuotaSelection::Of(sids.iter().copied().cloned().collect()), ..everybody(false) }
}

fn limits(sid: &Sid, threshold: u64, limit: u64) -> QuotaInformation {
    QuotaInformation { change_time: FileTime(0), used: 0, threshold, limit, sid: sid.clone() }
}

impl User {
    async fn quota_file(&mut self) -> FileId {
        self.open(&requests::open(QUOTA_FILE)).await
    }

    /// What a query answers in so many bytes.
    async fn quotas(
        &mut self,
        open: FileId,
        query: &QuotaQuery,
        room: u32,
    ) -> Result<Vec<QuotaInformation>, NtStatus> {
        let mut input = Vec::new();
        query.encode(&mut input);
        let request = Request::QueryInfo(QueryInfoRequest {
            info_type: InfoType::QUOTA,
            information_class: 0,
            output_buffer_length: room,
            additional_information: 0,
            flags: QueryInfoFlags::empty(),
            file_id: open,
            input: input.into(),
        });
        let reply = self.call(&request).await.unwrap();
        if reply.status() != OK {
            return Err(reply.status());
        }
        let told = QueryInfoResponse::decode(&reply.message).unwrap().data;
        assert!(told.len() <= room as usize);
        Ok(decode_quota_list(&told).unwrap())
    }

    async fn set_quotas(&mut self, open: FileId, quotas: &[QuotaInformation]) -> NtStatus {
        let mut list = Vec::new();
        encode_quota_list(quotas, usize::MAX, &mut list);
        self.status(&requests::set_info(open, InfoType::QUOTA, 0, &list)).await
    }

    async fn rules(&mut self, open: FileId) -> ControlInformation {
        ControlInformation::decode(&self.file_system(open, FileSystemClass::CONTROL).await).unwrap()
    }

    async fn set_rules(&mut self, open: FileId, rules: &ControlInformation) -> NtStatus {
        let mut data = Vec::new();
        rules.encode(&mut data);
        let class = FileSystemClass::CONTROL.0;
        self.status(&requests::set_info(open, InfoType::FILE_SYSTEM, class, &data)).await
    }

    async fn file_system(&mut self, open: FileId, class: FileSystemClass) -> Vec<u8> {
        let reply = self.call(&requests::query_info(open, InfoType::FILE_SYSTEM, class.0)).await.unwrap();
        assert_eq!(reply.status(), OK);
        QueryInfoResponse::decode(&reply.message).unwrap().data.to_vec()
    }

    /// Units that the user may have, and may still take (MS-FSCC 2.5.4).
    async fn room(&mut self, open: FileId) -> (u64, u64) {
        let told = self.file_system(open, FileSystemClass::FULL_SIZE).await;
        let word = |at: usize| u64::from_le_bytes(told[at..at + 8].try_into().unwrap());
        (word(0), word(8))
    }
}

#[tokio::test]
async fn what_a_user_makes_is_his_and_counts() {
    let site = site().await;
    let (mut alice, mut bob) = (site.log_in(&ALICE).await, site.log_in(&BOB).await);
    let file = alice.file("f", b"0123456789").await;
    let me = alice.owner_of(file).await;
    let seen = bob.open(&requests::open("f")).await;
    assert_eq!(bob.owner_of(seen).await, me, "others see whose it is");
    let quota = alice.quota_file().await;
    let told = alice.quotas(quota, &of(&[&me]), 4096).await.unwrap();
    assert_eq!(told, [QuotaInformation { used: 10, ..limits(&me, QUOTA_UNLIMITED, QUOTA_UNLIMITED) }]);
    // By any open of the volume, whoever names whom he means.
    assert_eq!(alice.quotas(file, &of(&[&me]), 4096).await.unwrap(), told);
}

#[tokio::test]
async fn others_quotas_are_for_administrators() {
    const DENIED: NtStatus = NtStatus::ACCESS_DENIED;
    let site = site().await;
    let (mut alice, mut bob) = (site.log_in(&ALICE).await, site.log_in(&BOB).await);
    let (file, other) = (alice.file("f", b"01234").await, bob.file("g", b"0").await);
    let (me, administrator) = (alice.owner_of(file).await, bob.owner_of(other).await);
    let quota = alice.quota_file().await;
    assert_eq!(alice.quotas(quota, &everybody(true), 4096).await, Err(DENIED));
    assert_eq!(alice.quotas(quota, &of(&[&me, &administrator]), 4096).await, Err(DENIED));
    assert_eq!(alice.set_quotas(quota, &[limits(&me, 1, 2)]).await, DENIED);
    let rules = alice.rules(quota).await;
    assert_eq!(alice.set_rules(quota, &rules).await, DENIED);

    let quota = bob.quota_file().await;
    assert_eq!(bob.set_quotas(quota, &[limits(&me, 7, 9)]).await, OK);
    let told = bob.quotas(quota, &of(&[&administrator, &me]), 4096).await.unwrap();
    assert_eq!((told[0].used, told[0].limit), (1, QUOTA_UNLIMITED));
    assert_eq!((told[1].used, told[1].threshold, told[1].limit), (5, 7, 9));
    assert!(told[1].change_time > FileTime(0));
    let unknown = Sid::new(5, &[21, 1, 2, 3, 4]).unwrap();
    assert_eq!(bob.quotas(quota, &of(&[&unknown]), 4096).await.unwrap(), [limits(&unknown, 0, 0)]);
}

#[tokio::test]
async fn nobody_makes_what_he_has_anothers_but_an_administrator() {
    let site = site().await;
    let (mut alice, mut bob) = (site.log_in(&ALICE).await, site.log_in(&BOB).await);
    let everybody = SecurityDescriptor { owner: Some(Sid::everyone()), ..SecurityDescriptor::default() };
    let owner = SecurityInformation::OWNER;
    let all = |access| CreateRequest { desired_access: access, ..requests::create("f") };
    let access = AccessMask::WRITE_OWNER | AccessMask::WRITE_DATA;
    let file = alice.open(&Request::Create(all(access))).await;
    assert_eq!(alice.secures(file, owner, &everybody).await, NtStatus::INVALID_OWNER);
    let mut bytes = Vec::new();
    everybody.encode(&mut bytes);
    let contexts = vec![CreateContext::SecurityDescriptor(bytes.into())];
    let made = Request::Create(CreateRequest { contexts, ..requests::create("g") });
    assert_eq!(alice.status(&made).await, NtStatus::INVALID_OWNER);
    let taken = bob.open(&Request::Create(all(access))).await;
    assert_eq!(bob.secures(taken, owner, &everybody).await, OK);
}

#[tokio::test]
async fn all_are_walked_through() {
    let site = site().await;
    let mut bob = site.log_in(&BOB).await;
    let quota = bob.quota_file().await;
    assert_eq!(bob.quotas(quota, &everybody(true), 4096).await, Err(NtStatus::NO_MORE_ENTRIES));
    let sids: Vec<Sid> = (1..=5).map(|rid| Sid::new(5, &[21, 1, 2, 3, rid]).unwrap()).collect();
    let all: Vec<QuotaInformation> = sids.iter().map(|sid| limits(sid, 1, 2)).collect();
    assert_eq!(bob.set_quotas(quota, &all).await, OK);
    let rids = |told: Result<Vec<QuotaInformation>, NtStatus>| {
        told.map(|told| {
            told.iter().map(|told| *told.sid.sub_authorities().last().unwrap()).collect::<Vec<_>>()
        })
    };
    assert_eq!(bob.quotas(quota, &everybody(false), ENTRY_BYTES - 1).await, Err(NtStatus::BUFFER_TOO_SMALL));
    assert_eq!(rids(bob.quotas(quota, &everybody(true), 3 * ENTRY_BYTES + 20).await), Ok(vec![1, 2, 3]));
    assert_eq!(rids(bob.quotas(quota, &everybody(false), 4096).await), Ok(vec![4, 5]));
    assert_eq!(bob.quotas(quota, &everybody(false), 4096).await, Err(NtStatus::NO_MORE_ENTRIES));
    let single = QuotaQuery { return_single: true, ..everybody(true) };
    assert_eq!(rids(bob.quotas(quota, &single, 4096).await), Ok(vec![1]));
    let from = QuotaQuery { whose: QuotaSelection::From(sids[2].clone()), ..everybody(true) };
    assert_eq!(rids(bob.quotas(quota, &from, 4096).await), Ok(vec![4, 5]));
    let root = bob.open(&requests::directory("")).await;
    assert_eq!(bob.quotas(root, &everybody(true), 4096).await, Err(NtStatus::INVALID_DEVICE_REQUEST));
    // A limit of all ones less one takes it away.
    assert_eq!(bob.set_quotas(quota, &[limits(&sids[0], 0, QUOTA_UNLIMITED - 1)]).await, OK);
    assert_eq!(rids(bob.quotas(quota, &everybody(true), 4096).await), Ok(vec![2, 3, 4, 5]));
}

#[tokio::test]
async fn room_ends_at_the_limit() {
    let site = site().await;
    let (mut alice, mut bob) = (site.log_in(&ALICE).await, site.log_in(&BOB).await);
    let file = alice.file("f", &[1; 8192]).await;
    let (me, quota) = (alice.owner_of(file).await, bob.quota_file().await);
    let (total, _) = alice.room(file).await;
    assert_eq!(bob.set_quotas(quota, &[limits(&me, 4096, 5 * 4096)]).await, OK);
    assert_eq!(alice.room(file).await.0, total, "who is not held to a limit is not told of it");
    let enforced = ControlInformation { flags: 2, ..bob.rules(quota).await };
    assert_eq!(bob.set_rules(quota, &enforced).await, OK);
    assert_eq!(bob.rules(quota).await, ControlInformation { flags: 3, ..enforced });
    assert_eq!(alice.room(file).await, (5, 3));
    assert_eq!(bob.room(quota).await.0, total);
    let for_all = ControlInformation { default_quota_limit: 7 * 4096, ..enforced };
    assert_eq!(bob.set_rules(quota, &for_all).await, OK);
    assert_eq!(bob.room(quota).await, (7, 7));
    assert_eq!(alice.room(file).await, (5, 3), "own limits go first");
}

#[tokio::test]
async fn room_is_told_while_nobody_tells_limits() {
    let faults = FaultVolume::new(MemVolume::with(MemConfig::default().and_quotas()));
    let site = Site::over(vfs::Vfs::new(faults.clone(), vfs::VfsConfig::default()), |_| {}).await;
    let mut alice = site.log_in(&ALICE).await;
    let root = alice.open(&requests::directory("")).await;
    let told = alice.room(root).await;
    faults.fail(Op::Quotas, 1, ErrorKind::Offline);
    assert_eq!(alice.room(root).await, told);
    faults.fail(Op::Quotas, 1, ErrorKind::Io);
    let asked = requests::query_info(root, InfoType::FILE_SYSTEM, FileSystemClass::FULL_SIZE.0);
    assert!(alice.status(&asked).await.is_error());
}

#[tokio::test]
async fn a_volume_without_quotas_says_so() {
    let site = Site::with(|config| config.administrators = People::new(["bob"])).await;
    let mut bob = site.log_in(&BOB).await;
    let quota = bob.quota_file().await;
    assert_eq!(bob.quotas(quota, &everybody(true), 4096).await, Err(NtStatus::NOT_SUPPORTED));
    let sid = Sid::new(5, &[21, 1, 2, 3, 4]).unwrap();
    assert_eq!(bob.set_quotas(quota, &[limits(&sid, 1, 2)]).await, NtStatus::NOT_SUPPORTED);
    let rules = bob.rules(quota).await;
    assert_eq!((rules.flags, rules.default_quota_limit), (0, QUOTA_UNLIMITED));
    assert_eq!(bob.set_rules(quota, &rules).await, NtStatus::NOT_SUPPORTED);
    let file = bob.file("f", b"x").await;
    let mut alice = site.log_in(&ALICE).await;
    let seen = alice.open(&requests::open("f")).await;
    assert_ne!(
        alice.owner_of(seen).await,
        bob.owner_of(file).await,
        "an object without a descriptor is whoever's asks"
    );
}
