/**
 * @file log/log.c  Levels, and the way of a line to stderr
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <re.h>
#include "log.h"
#include "internal.h"


static struct {
	_Atomic int level;
	_Atomic int format;
	const char *_Atomic role;
	_Atomic bool journal;
	_Atomic uint64_t lost;
} state = {.level = LOG_INFO};

static const char *const level_names[] = {"error", "warn", "info", "debug"};


/* systemd sets JOURNAL_STREAM=DEV:INODE of the stream that it reads */
static bool stderr_is_journal(void)
{
	const char *env = getenv("JOURNAL_STREAM");
	struct stat st;
	char buf[64];

	if (!env || fstat(STDERR_FILENO, &st))
		return false;

	(void)re_snprintf(buf, sizeof(buf), "%llu:%llu",
			  (unsigned long long)st.st_dev,
			  (unsigned long long)st.st_ino);

	return 0 == str_cmp(buf, env);
}


/**
 * Set level, format and role; may be called again, also while other threads
 * log.
 */
void log_init(enum log_level level, enum log_format format, const char *role)
{
	state.level = level;
	state.format = format;
	state.role = role;
	state.journal = stderr_is_journal();
}


void log_level_set(enum log_level level)
{
	state.level = level;
}


bool log_enabled(enum log_level level)
{
	return (int)level <= state.level;
}


/** Lines that were dropped since stderr did not take them at once */
uint64_t log_lost(void)
{
	return state.lost;
}


static void pair_time(struct log_buf *lb)
{
	struct timespec ts;
	struct tm tm;
	char buf[64];
	int n;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	if (!gmtime_r(&ts.tv_sec, &tm))
		return;

	n = re_snprintf(buf, sizeof(buf),
			"%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ",
			tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
			tm.tm_hour, tm.tm_min, tm.tm_sec, ts.tv_nsec / 1000);
	if (n > 0)
		log_buf_pair(lb, "ts", buf, (size_t)n);
}


static void pair_str(struct log_buf *lb, const char *key, const char *val)
{
	if (val)
		log_buf_pair(lb, key, val, str_len(val));
}


/*
 * A reader that has stopped must not stop us: a line is written only when
 * stderr takes it.  For a pipe, writable means PIPE_BUF bytes free, and a
 * line is never longer.
 */
static void emit(enum log_level level, const struct log_buf *lb)
{
	/* sd-daemon(3): the journal reads the priority from "<N>" */
	static const char prio[][4] = {"<3>", "<4>", "<6>", "<7>"};
	struct pollfd pfd = {.fd = STDERR_FILENO, .events = POLLOUT};
	char buf[LOG_LINE_MAX];
	const size_t pre = state.journal ? 3 : 0;
	const size_t n = min(lb->n, sizeof(buf) - pre);

	memcpy(buf, prio[level], pre);
	memcpy(&buf[pre], lb->b, n);
	buf[pre + n - 1] = '\n';

	if (poll(&pfd, 1, 0) != 1 || !(pfd.revents & POLLOUT) ||
	    write(STDERR_FILENO, buf, pre + n) < 0)
		++state.lost;
}


void log_line(enum log_level level, const char *sid, const char *event,
	      const char *fmt, ...)
{
	struct log_buf lb;

	if (!log_enabled(level))
		return;

	log_buf_init(&lb, state.format);
	pair_time(&lb);
	pair_str(&lb, "level", level_names[level]);
	pair_str(&lb, "role", state.role);
	pair_str(&lb, "event", event);
	pair_str(&lb, "sid", sid);

	if (fmt) {
		va_list ap;

		va_start(ap, fmt);
		log_buf_vpairs(&lb, fmt, ap);
		va_end(ap);
	}

	log_buf_close(&lb);
	emit(level, &lb);
}
