/* Makes a socket of each family and kind that rules on plain TCP and UDP do not think of, and sends
 * or connects where that is how it is used.
 *
 *     families packet | raw | netlink | abstract | vsock | mptcp
 *     families sctp | sctpx PORT   connect(2), and what SCTP has instead, an option of the socket
 *     families names FOLDER        connects to a socket there by a link, by another link, by a relative name
 */
#include "evade.h"
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <net/ethernet.h>
#include <sys/socket.h>
#include <sys/un.h>

static void is(const char *what, const char *name, int family, int type, int protocol)
{
	if (strcmp(what, name) == 0)
		must(socket(family, type, protocol) >= 0, name);
}

static void sctp(const char *what, int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
	if (fd < 0 && errno == EPROTONOSUPPORT)
		errno = EAFNOSUPPORT;
	must(fd >= 0, "socket");
	int done = strcmp(what, "sctp") == 0 ? connect(fd, (struct sockaddr *)&address, sizeof address) :
		setsockopt(fd, IPPROTO_SCTP, 110 /* SCTP_SOCKOPT_CONNECTX */, &address, sizeof address);
	/* Nobody listens, which the kernel found out by trying. */
	must(done < 0 && errno == ECONNREFUSED, what);
}

static void join(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strncpy(address.sun_path, path, sizeof address.sun_path - 1);
	must(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address) == 0, path);
}

static void names(const char *folder)
{
	must(chdir(folder) == 0, folder);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", folder);
	int server = socket(AF_UNIX, SOCK_STREAM, 0);
	must(bind(server, (struct sockaddr *)&address, sizeof address) == 0, "bind");
	must(listen(server, 8) == 0, "listen");
	must(symlink("socket", "symbolic") == 0 && link("socket", "hard") == 0, "links");
	char link[sizeof address.sun_path];
	snprintf(link, sizeof link, "%s/symbolic", folder);
	join(link);
	join("hard");
	join("./socket");
}

int main(int argc, char **argv)
{
	const char *what = argc >= 2 ? argv[1] : "";
	is(what, "packet", AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	is(what, "raw", AF_INET, SOCK_RAW, IPPROTO_ICMP);
	is(what, "netlink", AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	is(what, "mptcp", AF_INET, SOCK_STREAM, 262 /* IPPROTO_MPTCP */);
	if (argc == 3 && strcmp(what, "names") == 0)
		names(argv[2]);
	else if (argc == 3)
		sctp(what, atoi(argv[2]));
	if (strcmp(what, "abstract") == 0) {
		struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "\0evade-abstract" };
		connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address,
			sizeof(sa_family_t) + 1 + strlen("evade-abstract"));
		must(errno == ECONNREFUSED, "connect");
	}
	if (strcmp(what, "vsock") == 0) {
		int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
		must(fd >= 0, "socket");
		struct sockaddr_vm address = { .svm_family = AF_VSOCK, .svm_cid = 2, .svm_port = 4919 };
		connect(fd, (struct sockaddr *)&address, sizeof address);
	}
	return 0;
}
