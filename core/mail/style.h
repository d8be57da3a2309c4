/*
 * style: does an inline style hide what it is put on?
 *
 * Knows the few declarations of CSS by which mail hides text from its reader;
 * a style sheet is none of its business.
 *
 *	unsigned set, clear;
 *	style_hides(STR("font-size:14px"), &set, &clear);
 */
#ifndef CORE_MAIL_STYLE_H
#define CORE_MAIL_STYLE_H

#include "core/str.h"

enum style_hiding {
	STYLE_GONE = 1,	     /* display:none and what a child cannot undo */
	STYLE_ZERO = 2,	     /* font-size:0; a child may have a size again */
	STYLE_INVISIBLE = 4, /* visibility:hidden; a child may be visible again */
	STYLE_CAMOUFLAGE = 8, /* the colour of its own ground; a child may have another */
};

/* The bits that the declarations set, and those that they take back from what was inherited. */
void style_hides(struct str style, unsigned *set_r, unsigned *clear_r);

#endif
