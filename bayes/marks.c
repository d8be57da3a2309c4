#include "bayes/marks.h"

#define W MARK_WORD
#define A (MARK_WORD | MARK_SHOUT)
#define L (MARK_WORD | MARK_SHOUT | MARK_LOUD)
const uint8_t marks_classes[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* 00 */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* 10 */
	0, L, 0, 0, L, W, 0, W, 0, 0, 0, 0, 0, W, W, 0, /* 20: ! $ % ' - . */
	L, L, L, L, L, L, L, L, L, L, 0, 0, 0, 0, 0, 0, /* 30: 0-9 */
	W, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, /* 40: @ A-O */
	L, L, L, L, L, L, L, L, L, L, L, 0, 0, 0, 0, W, /* 50: P-Z _ */
	0, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, /* 60: a-o */
	A, A, A, A, A, A, A, A, A, A, A, 0, 0, 0, 0, 0, /* 70: p-z */
	W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, /* 80 */
	W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
	W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
	W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
	W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
	W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
	W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
	W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
};
#undef W
#undef A
#undef L
