#!/bin/sh
# What `record` watches, on the host and in what looks like a container: $1 is a folder to work in,
# which is the script's alone, in a mount namespace of its own. What fails, fails: that is recorded too.
exec 2>/dev/null
set +e
umask 022
T=$1
cd "$T" || exit 1
mount -t tmpfs monitor "$T" && cd "$T"
# What is written below these is gone at the end.
for over in etc usr/bin root var/log; do
    mkdir -p "up/$over" "work/$over"
    mount -t overlay -o "lowerdir=/$over,upperdir=$T/up/$over,workdir=$T/work/$over" monitor "/$over"
done
mkdir sub && cd sub || exit 1

# Files that are read, by full and by relative names.
cat /etc/shadow /etc/passwd /etc/hosts /etc/missing > /dev/null
cat ../../../../../../../etc/shadow > /dev/null
ln -s /etc/shadow innocent; cat innocent > /dev/null
head -c 1 /etc/pam.d/login /etc/sudoers /root/.ssh/id_rsa > /dev/null
mkdir -p /root/.ssh /root/.aws; echo key > /root/.ssh/id_rsa; echo key > /root/.aws/credentials
cat /root/.ssh/id_rsa /root/.aws/credentials > /dev/null
cat /proc/self/environ /proc/1/environ /sys/kernel/mm/transparent_hugepage/enabled > /dev/null
grep -r 'BEGIN PRIVATE' /root/.ssh; find /root/.ssh -name id_rsa; find /root/.aws -name credentials
# Files that are written, made, renamed and removed.
echo x >> /root/.ssh/authorized_keys; echo x > /root/.bashrc; echo x > /etc/profile.d/x.sh
echo x > /etc/x; echo x > /etc/cron.d/x; echo x > /usr/bin/x; echo x > /etc/ld.so.preload
echo x >> /var/log/x.log; : > /var/log/x.log; rm /var/log/x.log; echo x > /dev/monitor-x; rm /dev/monitor-x
: > /root/.bash_history; rm -f /root/.bash_history; shred -u /etc/x
mkdir /usr/bin/folder; rmdir /usr/bin/folder; mv /usr/bin/x /usr/bin/y; rm /usr/bin/y
ln -s /etc/passwd link; ln ../sub/link hard; mv link other; rm other hard
touch a; chmod 4755 a; chown 1:1 a; chmod 600 a; truncate -s 9 a; cp /bin/true copy; ./copy; cp a b
dd if=/dev/zero of=c bs=1 count=1; tar cf d.tar a; crontab -l; : > "$(printf '%0200d' 0)"
# Programs.
sh -c 'sh -c "exec true"'; ./missing; sleep 0; id; whoami; nice true; env -i true
base64 -d /dev/null; (exec -a kworker true); nsenter -t $$ -m true; unshare -n true; su -c true nobody
mkdir m; mount -t tmpfs m m; umount m; chroot / true; hostname; lsmod; modprobe monitor-none; ip a
perl -e '
    use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6); use POSIX (); $SIG{PIPE} = "IGNORE";
    sub call { my ($number, @arguments) = @_; syscall($number, @arguments) }
    sub in4 { pack_sockaddr_in($_[1], inet_aton($_[0])) }
    # A server and its client; ends of a socket as standard input and output.
    socket(L, 2, 1, 6); setsockopt(L, 1, 2, 1); bind(L, in4("127.0.0.1", 43977)); listen(L, 1);
    socket(C, 2, 1, 6); connect(C, in4("127.0.0.1", 43977)); accept(A, L); syswrite(C, "x"); sysread(A, $x, 1);
    if (!fork) { POSIX::dup2(fileno(C), 0); POSIX::dup2(fileno(C), 1); exec "true" } wait;
    fcntl(C, 0, 20);
    for (["169.254.169.254", 80], ["127.0.0.1", 1], ["10.0.0.1", 443], ["127.0.0.1", 6443], ["192.0.2.1", 3333],
         ["8.8.8.8", 53], ["198.51.100.7", 22], ["127.0.0.1", 9050]) {
        for $type (1, 2) {
            socket(S, 2, $type, 0); fcntl(S, 4, 2048); connect(S, in4(@$_)); send(S, "x", 0); recv(S, $x, 9, 64); close S
        }
        socket(S, 2, 2, 0); send(S, "x", 0, in4(@$_)); close S
    }
    socket(S, 10, 1, 0); connect(S, pack_sockaddr_in6(9, inet_pton(10, "::1"))); bind(S, pack_sockaddr_in6(0, inet_pton(10, "::")));
    socket(S, 1, 1, 0); connect(S, pack_sockaddr_un("/run/docker.sock")); connect(S, pack_sockaddr_un("none"));
    socketpair(P, Q, 1, 1, 0); send(P, "x", 0); recv(Q, $x, 1, 0);
    socket(S, 16, 3, 0); socket(S, 17, 3, 768); socket(S, 2, 3, 1); socket(S, 38, 5, 0); socket(S, 99, 1, 0);
    call(101, 0, 0, 0, 0); if (!($p = fork)) { sleep 9; exit } call(101, 16, $p + 0, 0, 0); kill 9, $p; wait; call(101, 16, 0x3ffffff, 0, 0);
    $name = "x"; $fd = call(319, $name, 0); open(M, "<", "/bin/true"); sysread(M, $x, 1 << 22);
    open(N, ">&=", $fd); syswrite(N, $x); if (!fork) { exec "/proc/self/fd/$fd" } wait;
    call(321, 0, 0, 0); call(321, 5, 0, 0); call(175, 0, 0, 0); call(313, -1, 0, 0);
    call(323, 0); call(425, 1, 0); call(250, 0, 0, 0); call(304, -100, 0, 0); call(303, -100, 0, 0, 0, 0);
    $path = "/etc/shadow"; call(437, -100, $path, pack("QQQ", 0, 0, 0), 24); call(85, "made", 420);
    call(272, 0x04000000); call(161, "/"); call(155, "/none", "/none"); call(165, "none", "/none", "none", 0, 0);
    call(135, 0xffffffff); call(62, $$, 0); call(105, 1000); call(106, 1000); open(X, "<", "/etc/shadow"); call(105, 0);
'
exit 0
