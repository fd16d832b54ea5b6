/* Does the system calls that it is told, and tells what each gave. It needs no library, so that it
 * does no calls but these, read(2) and write(2).
 *
 *     calls 64|32|thread …, with the calls on standard input; 32 does them by int $0x80, thread in
 *     a second thread
 *
 * A line is a call: its number, then the arguments. An argument is a number (12, -1, 0x1f, 017), a
 * 'text', the result of an earlier line (@0), the own process id ($), or an array: w[…] of words as
 * long as a pointer, q[…], d[…], h[…] and b[…] of 8, 4, 2 and 1 bytes, with zeros behind. A line
 * = ARGUMENT calls nothing and gives the argument. Results go to standard output, behind the own
 * process id and that of the thread. */

enum { LINES = 512, SCRIPT = 1 << 16, ROOM = 1 << 20 };

/* In low memory, as this is no position-independent program: 32-bit calls can point to it. */
static char script[SCRIPT], room[ROOM], stack[1 << 16] __attribute__((used, aligned(16)));
static long results[LINES], lines, used, own;
static int narrow;
static const char *at;

__attribute__((naked)) static long call64(long number __attribute__((unused)),
					  long *arguments __attribute__((unused)))
{
	__asm__("mov %rdi, %rax; mov %rsi, %r11; mov (%r11), %rdi; mov 8(%r11), %rsi;"
		"mov 16(%r11), %rdx; mov 24(%r11), %r10; mov 32(%r11), %r8; mov 40(%r11), %r9;"
		"syscall; ret");
}

__attribute__((naked)) static long call32(long number __attribute__((unused)),
					  long *arguments __attribute__((unused)))
{
	__asm__("push %rbx; push %rbp; mov %rdi, %rax; mov (%rsi), %rbx; mov 8(%rsi), %rcx;"
		"mov 16(%rsi), %rdx; mov 32(%rsi), %rdi; mov 40(%rsi), %rbp; mov 24(%rsi), %rsi;"
		"int $0x80; cltq; pop %rbp; pop %rbx; ret");
}

/* As fork(2) for a thread: 0 in the new one. */
__attribute__((naked)) static long thread(void)
{
	/* CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM */
	__asm__("mov $56, %eax; mov $0x50f00, %edi; mov $stack + 65536, %esi; xor %edx, %edx;"
		"xor %r10d, %r10d; xor %r8d, %r8d; syscall; test %eax, %eax; jnz 1f; call work; hlt;"
		"1: ret");
}

static long number(void)
{
	long value = 0, base = 10, sign = 1;
	if (*at == '-')
		sign = -1, at++;
	if (at[0] == '0' && at[1] == 'x')
		base = 16, at += 2;
	else if (*at == '0')
		base = 8;
	for (;; at++) {
		long digit = *at >= 'a' ? *at - 'a' + 10 : *at - '0';
		if (digit < 0 || digit >= base)
			return sign * value;
		value = value * base + digit;
	}
}

static char *take(long size)
{
	char *place = room + used;
	used += (size + 15) & ~15;
	return place;
}

static long argument(void);

static long array(int size)
{
	char *place = take(4096);
	long length = 0;
	for (at += 2; *at != ']'; at += *at == ' ') {
		long value = argument();
		for (int index = 0; index < size; index++)
			place[length++] = value >> (8 * index);
	}
	at++;
	return (long)place;
}

static long text(void)
{
	const char *start = ++at;
	while (*at != '\'')
		at++;
	char *place = take(at - start + 1);
	for (long index = 0; start + index < at; index++)
		place[index] = start[index];
	at++;
	return (long)place;
}

static long argument(void)
{
	switch (*at) {
	case '\'':
		return text();
	case '@':
		at++;
		return results[number()];
	case '$':
		at++;
		return own;
	case 'w':
		return array(narrow ? 4 : 8);
	case 'q':
		return array(8);
	case 'd':
		return array(4);
	case 'h':
		return array(2);
	case 'b':
		return array(1);
	default:
		return number();
	}
}

static void say(long value)
{
	char line[24];
	int index = sizeof line;
	unsigned long left = value < 0 ? -value : value;
	line[--index] = '\n';
	do
		line[--index] = '0' + left % 10;
	while (left /= 10);
	if (value < 0)
		line[--index] = '-';
	call64(1, (long[6]){ 1, (long)(line + index), sizeof line - index });
}

static long process(void)
{
	return call64(39, (long[6]){ 0 });
}

static void keep(long result)
{
	results[lines++] = result;
	say(result);
}

static void line(void)
{
	if (*at == '=') {
		at += 2;
		return keep(argument());
	}
	long arguments[6] = { 0 }, count = 0, which = number();
	while (*at == ' ') {
		at++;
		arguments[count++] = argument();
	}
	long result = narrow ? call32(which, arguments) : call64(which, arguments);
	/* An address, not an error. */
	if (narrow && result < -4095)
		result &= 0xffffffff;
	/* What it made has nothing to do. */
	if (process() != own)
		call64(231, (long[6]){ 0 });
	keep(result);
}

__attribute__((used)) static void work(void)
{
	long length = 0, more;
	say(own);
	say(call64(186, (long[6]){ 0 }));
	while ((more = call64(0, (long[6]){ 0, (long)(script + length), SCRIPT - 1 - length })) > 0)
		length += more;
	/* alarm(20): a call that waits in vain ends it. */
	call64(37, (long[6]){ 20 });
	for (at = script; *at; at += *at == '\n')
		line();
	call64(231, (long[6]){ 0 });
}

__attribute__((used)) static void run(char **arguments)
{
	char mode = arguments[2][0];
	narrow = mode == '3';
	own = process();
	if (mode != 't')
		work();
	thread();
	for (;;)
		call64(34, (long[6]){ 0 });
}

__attribute__((naked)) void _start(void)
{
	__asm__("mov %rsp, %rdi; and $-16, %rsp; call run; hlt");
}
