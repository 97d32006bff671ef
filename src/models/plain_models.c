/* SPDX-License-Identifier: Apache-2.0 */
/* Named networks that are a sequence of layers, and so are written as one. */
#include "models_internal.h"

/* Adds `piece` to *text, which it replaces; NULL stays NULL. */
static void add(char **text, char *piece)
{
	char *longer = *text && piece ? clef__format("%s%s", *text, piece) : NULL;

	free(*text);
	free(piece);
	*text = longer;
}

char *clef__mlp(clef__network net)
{
	long long width = net.width ? net.width : 256;
	char *text = clef__strdup("flatten ");

	for (int64_t i = 0; i < (net.stages ? net.stages : 2) && text; i++)
		add(&text, clef__format("linear(%lld) relu ", width));
	add(&text, clef__format("linear(%d)", net.classes));
	return text;
}

char *clef__convnet(clef__network net)
{
	long long width = net.width ? net.width : 32;

	return clef__format("conv2d(%lld, 5, pad=2) relu conv2d(%lld, 3, pad=1) relu flatten linear(%d)", width,
			    CLEF__MAX(width / 2, 1), net.classes);
}

char *clef__vgg(clef__network net)
{
	long long width = net.width ? net.width : 64;
	char *text = clef__strdup("");

	/* Wider than any device could hold long before it overflows. */
	for (int64_t i = 0; i < (net.stages ? net.stages : 3) && text; i++, width = CLEF__MIN(2 * width, INT32_MAX)) {
		for (int k = 0; k < 2; k++)
			add(&text, clef__format("conv2d(%lld, 3, pad=1) batch_norm relu ", width));
		add(&text, clef__strdup("max_pool2d(2) "));
	}
	add(&text, clef__format("flatten linear(%d)", net.classes));
	return text;
}
