"""The command lines of the ffmpeg programs: local file only, known containers only, one thread, no input of their own.

Protocols: `file` to read the image, `pipe` to give a result back. A playlist or a concatenation, whose entries are
addresses, is none of the containers, so that no recording can name another file.
"""

from __future__ import annotations

CONTAINERS = "mov,matroska,webm,avi,mpegts,mpeg,asf,flv,ogg,wav,mp3,aac,flac,amr,mxf,gxf,dv,h264,hevc,mpegvideo,m4v"
STILL_WIDTH = 320
HEAD_S = 2.0
TAIL_S = 4.0
_QUIET = ("-hide_banner", "-v", "error")
_READ = (
    *("-protocol_whitelist", "file", "-format_whitelist", CONTAINERS),
    *("-probesize", "5000000", "-analyzeduration", "5000000", "-max_streams", "64"),
)


def probe(ffprobe: str, source: str) -> list[str]:
    """What is in it, as JSON."""
    entries = (
        "format=format_name,duration,probe_score:format_tags=creation_time,major_brand"
        ":stream=codec_type,codec_name,duration:stream_disposition=attached_pic:stream_tags=creation_time"
    )
    return [ffprobe, *_QUIET, *_READ, "-show_entries", entries, "-of", "json=compact=1", "-i", source]


def still(ffmpeg: str, source: str) -> list[str]:
    """One picture out of the first seconds, the least blank of them, as JPEG on standard output."""
    scaled = f"thumbnail=25,scale=w='min({STILL_WIDTH},iw)':h=-2:flags=bilinear,format=yuvj420p"
    return [
        *(ffmpeg, *_QUIET, "-nostdin", *_READ, "-threads", "1", "-t", f"{HEAD_S:g}", "-i", source),
        *("-map", "0:V:0", "-an", "-sn", "-dn", "-filter_threads", "1", "-vf", scaled, "-frames:v", "1"),
        *("-map_metadata", "-1", "-threads", "1", "-c:v", "mjpeg", "-q:v", "5", "-f", "image2pipe", "pipe:1"),
    ]


def head(ffmpeg: str, source: str) -> list[str]:
    """Decode the first seconds and throw them away; progress on standard output."""
    return [ffmpeg, *_QUIET, "-nostdin", *_READ, "-threads", "1", "-t", f"{HEAD_S:g}", "-i", source, *_NOWHERE]


def tail(ffmpeg: str, source: str, seconds: float = TAIL_S) -> list[str]:
    """Decode the last seconds and throw them away; progress on standard output."""
    begin = ("-sseof", f"-{seconds:.3f}")
    return [ffmpeg, *_QUIET, "-nostdin", *_READ, "-threads", "1", *begin, "-i", source, *_NOWHERE]


_NOWHERE = (
    *("-map", "0:V:0?", "-map", "0:a:0?", "-sn", "-dn", "-filter_threads", "1"),
    *("-f", "null", "-nostats", "-progress", "pipe:1", "-"),
)
