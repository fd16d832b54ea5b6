//! Batches of records, as Kafka keeps them (magic 2), and the partition that a key goes to.

use super::wire::{short, varint};

/// A message.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) key: String,
    pub(super) value: Vec<u8>,
    /// Its header `uuid`.
    pub(super) uuid: String,
    /// When the event happened, ms since the epoch.
    pub(super) time: i64,
}

/// Who sends a batch, and which of his it is in its partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) producer: i64,
    pub(super) epoch: i16,
    pub(super) sequence: i32,
}

impl Record {
    /// About as many bytes as it takes in a batch.
    pub(super) fn size(&self) -> usize {
        const AROUND: usize = 64;
        self.key.len() + self.value.len() + self.uuid.len() + AROUND
    }

    fn write(&self, index: usize, first: i64, out: &mut Vec<u8>) {
        // No attributes.
        let mut body = vec![0];
        varint(self.time - first, &mut body);
        varint(index as i64, &mut body);
        short(self.key.as_bytes(), &mut body);
        short(&self.value, &mut body);
        varint(1, &mut body);
        short(b"uuid", &mut body);
        short(self.uuid.as_bytes(), &mut body);
        short(&body, out);
    }
}

/// The bytes of a batch.
pub(super) fn batch(records: &[Record], origin: Origin) -> Vec<u8> {
    let times = || records.iter().map(|record| record.time);
    let first = times().next().unwrap_or_default();
    let mut checked = Vec::new();
    // No compression, times of creation, no transaction.
    checked.extend_from_slice(&0_i16.to_be_bytes());
    checked.extend_from_slice(&(records.len() as i32 - 1).to_be_bytes());
    checked.extend_from_slice(&first.to_be_bytes());
    checked.extend_from_slice(&times().max().unwrap_or_default().to_be_bytes());
    checked.extend_from_slice(&origin.producer.to_be_bytes());
    checked.extend_from_slice(&origin.epoch.to_be_bytes());
    checked.extend_from_slice(&origin.sequence.to_be_bytes());
    checked.extend_from_slice(&(records.len() as i32).to_be_bytes());
    for (index, record) in records.iter().enumerate() {
        record.write(index, first, &mut checked);
    }
    let mut out = Vec::new();
    out.extend_from_slice(&0_i64.to_be_bytes());
    // What follows: the leader's epoch, magic, check sum, and what it is over.
    out.extend_from_slice(&((4 + 1 + 4 + checked.len()) as i32).to_be_bytes());
    out.extend_from_slice(&(-1_i32).to_be_bytes());
    out.push(2);
    out.extend_from_slice(&crc32c(&checked).to_be_bytes());
    out.extend_from_slice(&checked);
    out
}

/// The CRC of iSCSI, bit by bit: alerts are few.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut sum = !0_u32;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            let polynomial = if sum & 1 == 1 { 0x82f6_3b78 } else { 0 };
            sum = sum >> 1 ^ polynomial;
        }
    }
    !sum
}

/// Of `count` partitions that of `key`, as Kafka's own clients choose.
pub(super) fn partition(key: &str, count: i32) -> i32 {
    (murmur2(key.as_bytes()) & 0x7fff_ffff) as i32 % count.max(1)
}

/// 32 bits of `MurmurHash2`, with Kafka's seed.
fn murmur2(bytes: &[u8]) -> u32 {
    const FACTOR: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ bytes.len() as u32;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(FACTOR);
        word ^= word >> 24;
        hash = hash.wrapping_mul(FACTOR) ^ word.wrapping_mul(FACTOR);
    }
    for (index, byte) in rest.iter().enumerate() {
        hash ^= u32::from(*byte) << (8 * index);
    }
    if !rest.is_empty() {
        hash = hash.wrapping_mul(FACTOR);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(FACTOR);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_sum_is_castagnolis() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    /// What Kafka's own tests have (`UtilsTest.testMurmur2`).
    #[test]
    fn keys_go_where_kafkas_clients_put_them() {
        let check = |key: &str, expected: i32| assert_eq!(murmur2(key.as_bytes()) as i32, expected);
        check("21", -973_932_308);
        check("foobar", -790_332_482);
        check("a-little-bit-long-string", -985_981_536);
        check("a-little-bit-longer-string", -1_486_304_829);
        check(
            "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
            -58_897_971,
        );
        assert_eq!(partition("web-1", 1), 0);
    }
}
