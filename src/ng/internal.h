/**
 * @file ng/internal.h  Shared inside src/ng
 */

/** New value at the end of a list or dictionary.  key is not copied */
struct ng_val *ng_tree_node(struct ng_tree *t, struct ng_val *to,
			    enum ng_type type, const struct pl *key);
/** Memory of the tree; NULL (and the tree's error set) if it is used up */
void *ng_tree_mem(struct ng_tree *t, size_t n);
void ng_tree_fail(struct ng_tree *t, int err);

/** A cursor over a writable copy of the body */
struct ng_cur {
	char *p;
	const char *end;
	struct ng_tree *t;
	unsigned depth;
};

int ng_json_decode(struct ng_cur *c, struct ng_val *root);
int ng_json_encode(struct mbuf *mb, const struct ng_val *v);

/** Write a command's dictionary */
int ng_cmd_encode(struct mbuf *mb, const struct ng_cmd *cmd);
/** What an answer means */
void ng_result_read(struct ng_result *res, const struct ng_val *root);

/* The client: client.c and node.c */

struct ng_node {
	struct sa sa;
	uint64_t hash;
	uint64_t rx;		/**< jiffies of the last answer       */
	struct ng_req *probe;	/**< ping under way, while it is dead */
	bool alive;
	uint64_t timeouts;
};

struct ng_client {
	struct udp_sock *us4;
	struct udp_sock *us6;
	struct hash *reqs;	/**< by cookie                        */
	struct tmr tmr_probe;
	struct ng_node nodev[NG_NODE_MAX];
	unsigned nodec;
	struct hash *sticky;	/**< calls away from home             */
	struct list stickyl;
	unsigned stickyc;
	unsigned reqc;
	uint64_t seq;
	uint64_t prefix;
	uint64_t n_req, n_retrans, n_timeout, n_stray;
};

uint64_t ng_hash(uint64_t h, const char *p, size_t n);
void ng_node_order(const struct ng_client *c, uint64_t call,
		   uint8_t *orderv);
unsigned ng_node_home(const struct ng_client *c, uint64_t call);

int  ng_sticky_init(struct ng_client *c);
void ng_sticky_close(struct ng_client *c);
int  ng_sticky_get(const struct ng_client *c, uint64_t call);
void ng_sticky_set(struct ng_client *c, uint64_t call, unsigned node);
void ng_sticky_del(struct ng_client *c, uint64_t call);
