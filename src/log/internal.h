/**
 * @file log/internal.h  What the files of src/log share
 */

#ifndef VOIPSTACK_LOG_INTERNAL_H
#define VOIPSTACK_LOG_INTERNAL_H

/** PIPE_BUF: a line of this size goes into a pipe at once or not at all */
enum { LOG_LINE_MAX = 4096 };

/** A line in the making; never longer than LOG_LINE_MAX with its newline */
struct log_buf {
	char b[LOG_LINE_MAX];
	size_t n;
	bool cut;		/**< something did not fit */
	enum log_format format;
};

void log_buf_init(struct log_buf *lb, enum log_format format);
void log_buf_pair(struct log_buf *lb, const char *key, const char *val,
		  size_t len);
void log_buf_vpairs(struct log_buf *lb, const char *fmt, va_list ap);
void log_buf_close(struct log_buf *lb);

#endif
