/*
 * demo.h - the service that shows, and lets tests provoke, what can happen to a job. One
 * table, run from a shared object (demo.so) and from a worker program (demo-worker).
 */
#ifndef CADRE_DEMO_H
#define CADRE_DEMO_H

#include <cadre/service.h>

extern CADRE_API const struct cadre_service cadre_service;

#endif
