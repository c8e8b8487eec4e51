/**
 * @file log.h  Log lines: levels, logfmt or JSON, one line a decision
 *
 * Callers give an event (a short sentence) and key=value pairs; the sink
 * writes them as logfmt or as one JSON object.  Values are escaped by the
 * sink, so bytes of a peer can never forge a line.  Thread-safe.  A line that
 * stderr does not take at once is dropped and counted: logging never blocks.
 */

#ifndef VOIPSTACK_LOG_H
#define VOIPSTACK_LOG_H

enum log_level {
	LOG_ERROR = 0,
	LOG_WARN,
	LOG_INFO,
	LOG_DEBUG,
};

enum log_format {
	LOG_LOGFMT = 0,
	LOG_JSON,
};

/** Level and format from now on; role is a static string ("sip") or NULL */
void log_init(enum log_level level, enum log_format format, const char *role);
void log_level_set(enum log_level level);
bool log_enabled(enum log_level level);
/** Lines dropped since stderr did not take them at once */
uint64_t log_lost(void);

/**
 * Write one line.
 *
 * @param level  Level
 * @param sid    Session-ID (RFC 7989) of the call, or NULL
 * @param event  What was decided, a short constant sentence
 * @param fmt    libre format (%r, %J, %m, ...) that makes the key=value
 *               pairs as "key=%s other=%u"; a value with spaces is written
 *               as key="%s" and the sink escapes what stands in it.
 *               NULL for none.
 */
void log_line(enum log_level level, const char *sid, const char *event,
	      const char *fmt, ...);

#define log_error(sid, event, ...) log_line(LOG_ERROR, sid, event, __VA_ARGS__)
#define log_warn(sid, event, ...) log_line(LOG_WARN, sid, event, __VA_ARGS__)
#define log_info(sid, event, ...) log_line(LOG_INFO, sid, event, __VA_ARGS__)
#define log_debug(sid, event, ...) \
	do { if (log_enabled(LOG_DEBUG)) \
		log_line(LOG_DEBUG, sid, event, __VA_ARGS__); } while (0)

#endif
