"""The command lines of the ffmpeg programs: local file only, known containers only, one thread, no input of their own.

Protocols: `file` to read the image, `pipe` to give a result back. A playlist or a concatenation, whose entries are
addresses, is none of the containers, so that no recording can name another file.
"""

from __future__ import annotations

CONTAINERS = (
    "mov,matroska,webm,avi,mpegts,mpeg,asf,flv,ogg,wav,mp3,aac,flac,amr,mxf,gxf,dv,h264,hevc,mpegvideo,m4v,png_pipe"
)
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


def packets(ffprobe: str, source: str, from_s: float, to_s: float) -> list[str]:
    """Every packet around a span of time: where it lies, when it is shown, whether it is a key frame."""
    entries = "packet=codec_type,pts_time,duration_time,pos,size,flags:format=start_time"
    interval = ("-read_intervals", f"{from_s:.3f}%{to_s:.3f}")
    return [ffprobe, *_QUIET, *_READ, *interval, "-show_entries", entries, "-of", "compact=p=0", "-i", source]


_MP4 = ("-movflags", "+frag_keyframe+empty_moov+default_base_moof", "-f", "mp4")
"""In fragments: a pipe cannot be gone back in, and what was written is whole at every moment."""
_H264 = (
    # Every picture once, at its own time: none is doubled or left out for the sake of an even rate.
    *("-fps_mode:v", "passthrough", "-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p"),
    *("-c:a", "aac", "-b:a", "160k"),
)
_FIRST = ("-map", "0:V:0?", "-map", "0:a:0?", "-sn", "-dn")
_EVEN = ("-vf", "scale=trunc(iw/2)*2:trunc(ih/2)*2")
_TO_PIPE = (
    "-map_metadata",
    "-1",
    "-threads",
    "1",
    "-fflags",
    "+bitexact",
    "-flags:v",
    "+bitexact",
    "-flags:a",
    "+bitexact",
)


def clip_copy(ffmpeg: str, source: str, cut: tuple[float, float], form: str) -> list[str]:
    """Whole groups of pictures as they are, nothing decoded. A hair inside both bounds, which are key frames."""
    begin, length = f"{cut[0] + 0.001:.6f}", f"{max(cut[1] - cut[0] - 0.002, 0.001):.6f}"
    shape = _MP4 if form == "mp4" else ("-f", form)
    copied = ("-t", length, *_FIRST, "-c", "copy", "-avoid_negative_ts", "make_zero")
    return [*_begin(ffmpeg, source, ("-ss", begin)), *copied, *_TO_PIPE, *shape, "pipe:1"]


def clip_exact(ffmpeg: str, source: str, from_s: float, to_s: float) -> list[str]:
    """From the very picture to the very picture, decoded and encoded anew."""
    begin = ("-ss", f"{from_s:.6f}")
    asked = ("-t", f"{to_s - from_s:.6f}", *_FIRST, *_EVEN, *_H264)
    return [*_begin(ffmpeg, source, begin), *asked, *_TO_PIPE, *_MP4, "pipe:1"]


def h264_copy(ffmpeg: str, source: str) -> list[str]:
    """The whole, as H.264 and AAC in MP4: a copy that plays everywhere."""
    return [*_begin(ffmpeg, source), *_FIRST, *_EVEN, *_H264, *_TO_PIPE, *_MP4, "pipe:1"]


def picture(ffmpeg: str, source: str, at_s: float) -> list[str]:
    """One picture at its full size, as PNG: nothing of it is lost."""
    one = ("-map", "0:V:0", "-an", "-sn", "-dn", "-frames:v", "1", "-c:v", "png", "-f", "image2pipe")
    return [*_begin(ffmpeg, source, ("-ss", f"{at_s:.6f}")), *one, *_TO_PIPE[:4], "pipe:1"]


def sound(ffmpeg: str, source: str) -> list[str]:
    """The first sound track as FLAC: nothing of it is lost."""
    return [*_begin(ffmpeg, source), "-map", "0:a:0", "-vn", "-c:a", "flac", *_TO_PIPE, "-f", "flac", "pipe:1"]


def _begin(ffmpeg: str, source: str, before: tuple[str, ...] = ()) -> list[str]:
    return [ffmpeg, *_QUIET, "-nostdin", *_READ, "-threads", "1", "-filter_threads", "1", *before, "-i", source]
