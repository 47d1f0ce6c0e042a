/*
 * api.h - what every public header of Cadre needs: visibility and linkage.
 */
#ifndef CADRE_API_H
#define CADRE_API_H

#if defined(__GNUC__)
#define CADRE_API __attribute__((visibility("default")))
#define CADRE_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define CADRE_API
#define CADRE_PRINTF(text, first)
#endif

#ifdef __cplusplus
#define CADRE_BEGIN_DECLS extern "C" {
#define CADRE_END_DECLS }
#else
#define CADRE_BEGIN_DECLS
#define CADRE_END_DECLS
#endif

#endif
