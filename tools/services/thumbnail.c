/*
 * thumbnail.c - decodes with libjpeg-turbo or libpng, averages, encodes.
 *
 * A JPEG is decoded at the smallest of libjpeg's scales (n/8) that is still wide enough,
 * which is most of the speed: a photograph of 12 megapixels never exists as such. The rest
 * is an average over the area that each pixel of the result covers.
 */
#include "thumbnail.h"

#include <png.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

#define SIDE_MAX 30000
#define PIXELS_MAX (100u * 1000 * 1000)
#define QUALITY 82

struct pixels {
	unsigned width, height;
	unsigned char *rgb;
};

static const char *check_size(unsigned width, unsigned height)
{
	if (width == 0 || height == 0 || width > SIDE_MAX || height > SIDE_MAX ||
	    (uint64_t)width * height > PIXELS_MAX)
		return "the picture is too large";
	return NULL;
}

/* The smallest scale that does not make it narrower than wanted. */
static tjscalingfactor choose_scale(unsigned width, unsigned wanted)
{
	int count;
	const tjscalingfactor *const factors = tjGetScalingFactors(&count);
	tjscalingfactor best = { 1, 1 };

	for (int i = 0; factors && i < count; i++)
		if ((unsigned)TJSCALED((int)width, factors[i]) >= wanted &&
		    TJSCALED((int)width, factors[i]) < TJSCALED((int)width, best))
			best = factors[i];
	return best;
}

static const char *decode_jpeg(const void *data, size_t length, unsigned wanted,
			       struct pixels *pixels)
{
	tjhandle handle = tjInitDecompress();
	const char *why = "this is no sound JPEG picture";
	int width, height, sampling, colours;

	if (!handle)
		return "memory is short";
	if (tjDecompressHeader3(handle, data, length, &width, &height, &sampling,
				&colours) < 0)
		goto out;
	why = check_size((unsigned)width, (unsigned)height);
	if (!why) {
		const tjscalingfactor scale = choose_scale((unsigned)width, wanted);

		pixels->width = (unsigned)TJSCALED(width, scale);
		pixels->height = (unsigned)TJSCALED(height, scale);
		pixels->rgb = malloc((size_t)pixels->width * pixels->height * 3);
		why = pixels->rgb ? NULL : "memory is short";
	}
	/* A picture that is cut short is shown as far as it goes. */
	if (!why &&
	    tjDecompress2(handle, data, length, pixels->rgb, (int)pixels->width, 0,
			  (int)pixels->height, TJPF_RGB, 0) < 0 &&
	    tjGetErrorCode(handle) == TJERR_FATAL)
		why = "this is no sound JPEG picture";
out:
	tjDestroy(handle);
	return why;
}

static const char *decode_png(const void *data, size_t length, struct pixels *pixels)
{
	const png_color white = { 255, 255, 255 };
	png_image image = { .version = PNG_IMAGE_VERSION };
	const char *why;

	if (!png_image_begin_read_from_memory(&image, data, length))
		return "this is no sound PNG picture";
	why = check_size(image.width, image.height);
	if (!why) {
		image.format = PNG_FORMAT_RGB;
		pixels->width = image.width;
		pixels->height = image.height;
		pixels->rgb = malloc(PNG_IMAGE_SIZE(image));
		why = pixels->rgb ? NULL : "memory is short";
	}
	if (!why && !png_image_finish_read(&image, &white, pixels->rgb, 0, NULL))
		why = "this is no sound PNG picture";
	png_image_free(&image);
	return why;
}

static const char *decode(const void *data, size_t length, unsigned wanted,
			  struct pixels *pixels)
{
	static const unsigned char png[] = { 0x89, 'P', 'N', 'G' };
	static const unsigned char jpeg[] = { 0xff, 0xd8 };

	if (length > sizeof(png) && memcmp(data, png, sizeof(png)) == 0)
		return decode_png(data, length, pixels);
	if (length > sizeof(jpeg) && memcmp(data, jpeg, sizeof(jpeg)) == 0)
		return decode_jpeg(data, length, wanted, pixels);
	return "this is neither a JPEG nor a PNG picture";
}

/* The mean of the pixels whose corner lies in the area that (x, y) of the result covers. */
static void average(const struct pixels *from, const struct pixels *to, unsigned x,
		    unsigned y)
{
	const unsigned left = (unsigned)((uint64_t)x * from->width / to->width);
	const unsigned right = (unsigned)((uint64_t)(x + 1) * from->width / to->width);
	const unsigned top = (unsigned)((uint64_t)y * from->height / to->height);
	const unsigned bottom = (unsigned)((uint64_t)(y + 1) * from->height / to->height);
	unsigned char *const pixel = to->rgb + 3 * ((size_t)y * to->width + x);
	uint64_t sum[3] = { 0 }, count = 0;

	for (unsigned v = top; v < bottom; v++)
		for (unsigned u = left; u < right; u++, count++)
			for (int c = 0; c < 3; c++)
				sum[c] += from->rgb[3 * ((size_t)v * from->width + u) +
						    (size_t)c];
	for (int c = 0; c < 3; c++)
		pixel[c] = (unsigned char)(count ? sum[c] / count : 0);
}

static const char *shrink(struct pixels *pixels, unsigned wanted)
{
	struct pixels small = { .width = wanted };

	if (pixels->width <= wanted)
		return NULL;
	small.height = (unsigned)((uint64_t)pixels->height * wanted / pixels->width);
	small.height = small.height ? small.height : 1;
	small.rgb = malloc((size_t)small.width * small.height * 3);
	if (!small.rgb)
		return "memory is short";
	for (unsigned y = 0; y < small.height; y++)
		for (unsigned x = 0; x < small.width; x++)
			average(pixels, &small, x, y);
	free(pixels->rgb);
	*pixels = small;
	return NULL;
}

static const char *encode(const struct pixels *pixels, struct picture *picture)
{
	tjhandle handle = tjInitCompress();
	const char *why = NULL;

	picture->width = pixels->width;
	picture->height = pixels->height;
	if (!handle || tjCompress2(handle, pixels->rgb, (int)pixels->width, 0,
				   (int)pixels->height, TJPF_RGB, &picture->data,
				   &picture->length, TJSAMP_420, QUALITY, 0) < 0)
		why = "the small picture cannot be encoded";
	if (handle)
		tjDestroy(handle);
	return why;
}

const char *thumbnail_make(const void *data, size_t length, unsigned width,
			   struct picture *ret_picture)
{
	struct pixels pixels = { .rgb = NULL };
	struct picture picture = { .data = NULL };
	const char *why = decode(data, length, width, &pixels);

	if (!why)
		why = shrink(&pixels, width);
	if (!why)
		why = encode(&pixels, &picture);
	free(pixels.rgb);
	if (why)
		thumbnail_free(&picture);
	else
		*ret_picture = picture;
	return why;
}

void thumbnail_free(struct picture *picture)
{
	tjFree(picture->data);
	picture->data = NULL;
}
