/**
 * @file frame/internal.h  The process of one role: what its files share
 */

#ifndef VOIPSTACK_FRAME_INTERNAL_H
#define VOIPSTACK_FRAME_INTERNAL_H

#include "ctl/ctl.h"

struct reload;

struct frame {
	const struct role *role;
	const struct options *opt;
	struct cfg *cfg;		/**< the one in force           */
	void *state;			/**< of the role                */
	struct role_env env;
	char node[256];			/**< name, for the process's life */
	struct ctl *ctl;
	struct reload *reload;		/**< under way, or NULL         */
	bool reload_again;		/**< HUP came meanwhile         */
	uint64_t began;			/**< tmr_jiffies() at start     */
	struct tmr drain_tmr;
	struct tmr beat_tmr;
	int sigfd;
	bool started;
	bool draining;
	unsigned terms;			/**< that count; 2: stop now    */
};

/* reload.c */
void frame_reload(struct frame *f);
void frame_reload_wait(struct frame *f);

/* commands.c */
extern const struct ctl_cmd frame_cmdv[];
extern const size_t frame_cmdc;
uint64_t frame_rss_bytes(void);

#endif
